//! The parts of a layer, in one table: what the file calls each, what it does, which input it reads
//! and how large it is.

use serde::{Deserialize, Serialize};

use super::architecture::{Architecture, Norms, QkNorm};
use super::role::Role;
use super::shape::ModelShape;

/// The inputs of linear maps, by the maps that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinearInput {
    /// Of queries, keys and values.
    Attention,
    /// Of the projection of what attention gives.
    AttentionOutput,
    /// Of gate and up.
    Ffn,
    /// Of the projection back.
    FfnDown,
    /// Of the output head, in the place of a layer after the last one.
    Head,
}

impl LinearInput {
    /// Those of a layer, in the order in which they are computed.
    pub const OF_LAYER: [LinearInput; 4] = [
        LinearInput::Attention,
        LinearInput::AttentionOutput,
        LinearInput::Ffn,
        LinearInput::FfnDown,
    ];
}

/// A linear map of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Map {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The projection of what attention gives.
    Output,
    /// The gate.
    Gate,
    /// What is gated.
    Up,
    /// The projection back.
    Down,
}

/// The gain of a norm of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gain {
    /// Before attention.
    Attention,
    /// Of each query.
    Query,
    /// Of each key.
    Key,
    /// After attention.
    AttentionPost,
    /// Before the feed-forward network.
    Ffn,
    /// After the feed-forward network.
    FfnPost,
}

/// How many values something has, by what it is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Len {
    /// The residual stream.
    Width,
    /// All queries of a token.
    Queries,
    /// All keys of a token.
    Keys,
    /// All values of a token.
    Values,
    /// What attention gives.
    Attended,
    /// The feed-forward network between its maps.
    Inner,
    /// What a norm of queries normalises at a time.
    QueryNorm,
    /// What a norm of keys normalises at a time.
    KeyNorm,
}

/// A row of the table: a linear map.
#[derive(Debug)]
pub struct MapPart {
    /// What the file calls it, between `blk.N.` and `.weight`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// What it reads.
    pub input: LinearInput,
    /// Values of its input.
    pub columns: Len,
    /// Values of its output.
    pub rows: Len,
}

/// A row of the table: the gain of a norm.
#[derive(Debug)]
pub struct GainPart {
    /// What files call it as a rule, between `blk.N.` and `.weight`.
    name: &'static str,
    /// Values of what is normalised at a time.
    pub len: Len,
    /// Whether an architecture has it.
    is_of: fn(&Architecture) -> bool,
}

/// A row of the table: several maps whose rows lie one after another in one tensor.
#[derive(Debug)]
pub struct FusedPart {
    /// What the file calls it, between `blk.N.` and `.weight`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// The maps, in the order of their rows.
    pub maps: &'static [Map],
    /// Whether an architecture may have it.
    is_of: fn(&Architecture) -> bool,
}

const fn map(
    name: &'static str,
    role: Role,
    input: LinearInput,
    columns: Len,
    rows: Len,
) -> MapPart {
    MapPart { name, role, input, columns, rows }
}

/// In the order of [`Map::ALL`].
const MAPS: [MapPart; 7] = [
    map("attn_q", Role::AttentionQ, LinearInput::Attention, Len::Width, Len::Queries),
    map("attn_k", Role::AttentionK, LinearInput::Attention, Len::Width, Len::Keys),
    map("attn_v", Role::AttentionV, LinearInput::Attention, Len::Width, Len::Values),
    map(
        "attn_output",
        Role::AttentionOutput,
        LinearInput::AttentionOutput,
        Len::Attended,
        Len::Width,
    ),
    map("ffn_gate", Role::FfnGate, LinearInput::Ffn, Len::Width, Len::Inner),
    map("ffn_up", Role::FfnUp, LinearInput::Ffn, Len::Width, Len::Inner),
    map("ffn_down", Role::FfnDown, LinearInput::FfnDown, Len::Inner, Len::Width),
];

const fn gain(name: &'static str, len: Len, is_of: fn(&Architecture) -> bool) -> GainPart {
    GainPart { name, len, is_of }
}

/// In the order of [`Gain::ALL`].
const GAINS: [GainPart; 6] = [
    gain("attn_norm", Len::Width, |it| it.norms != Norms::After),
    gain("attn_q_norm", Len::QueryNorm, |it| it.qk_norm != QkNorm::None),
    gain("attn_k_norm", Len::KeyNorm, |it| it.qk_norm != QkNorm::None),
    gain("post_attention_norm", Len::Width, |it| matches!(it.norms, Norms::Around | Norms::After)),
    gain("ffn_norm", Len::Width, |it| it.norms != Norms::After),
    gain("post_ffw_norm", Len::Width, |it| matches!(it.norms, Norms::Around | Norms::After)),
];

/// Tensors that hold several maps.
const FUSED: [FusedPart; 2] = [
    // llama.cpp's converter writes it if asked to.
    FusedPart {
        name: "attn_qkv",
        role: Role::AttentionQkv,
        maps: &[Map::Q, Map::K, Map::V],
        is_of: |_| true,
    },
    FusedPart {
        name: "ffn_up",
        role: Role::FfnUp,
        maps: &[Map::Gate, Map::Up],
        is_of: |it| it.fused_gate_up,
    },
];

impl Map {
    /// All of them.
    pub const ALL: [Map; 7] = [Map::Q, Map::K, Map::V, Map::Output, Map::Gate, Map::Up, Map::Down];

    /// Its row of the table.
    pub fn part(self) -> &'static MapPart {
        &MAPS[self as usize]
    }

    /// What the file calls it, between `blk.N.` and `.weight`.
    pub fn name(self) -> &'static str {
        self.part().name
    }

    /// The tensor that it may be a part of, if there is one.
    pub fn fused(self, architecture: &Architecture) -> Option<&'static FusedPart> {
        FUSED.iter().find(|fused| fused.maps.contains(&self) && (fused.is_of)(architecture))
    }
}

impl Gain {
    /// All of them.
    pub const ALL: [Gain; 6] =
        [Gain::Attention, Gain::Query, Gain::Key, Gain::AttentionPost, Gain::Ffn, Gain::FfnPost];

    /// Its row of the table.
    pub fn part(self) -> &'static GainPart {
        &GAINS[self as usize]
    }

    /// What the files of an architecture call it, between `blk.N.` and `.weight`; `None` if it has
    /// no such norm.
    pub fn name(self, architecture: &Architecture) -> Option<&'static str> {
        let GainPart { name, is_of, .. } = self.part();
        let named = match (self, architecture.norms) {
            (Gain::Ffn, Norms::BeforeNamedAfter) => Gain::AttentionPost.part().name,
            _ => name,
        };
        is_of(architecture).then_some(named)
    }
}

impl Len {
    /// In a model of this shape, in a layer whose feed-forward network has `inner` values.
    pub fn of(self, shape: &ModelShape, inner: usize) -> usize {
        let attention = &shape.attention;
        match self {
            Len::Width => shape.width,
            Len::Queries => attention.heads * attention.key_len,
            Len::Keys => attention.kv_heads * attention.key_len,
            Len::Values => attention.kv_heads * attention.value_len,
            Len::Attended => attention.heads * attention.value_len,
            Len::Inner => inner,
            Len::QueryNorm if shape.architecture.qk_norm == QkNorm::Whole => {
                Len::Queries.of(shape, inner)
            }
            Len::KeyNorm if shape.architecture.qk_norm == QkNorm::Whole => {
                Len::Keys.of(shape, inner)
            }
            Len::QueryNorm | Len::KeyNorm => attention.key_len,
        }
    }
}

/// What a tensor of a layer is.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// A linear map.
    Map(Map),
    /// Several of them.
    Fused(&'static FusedPart),
    /// The gain of a norm.
    Gain(Gain),
}

impl Part {
    /// What the tensor is that the files of an architecture call so, between `blk.N.` and `.weight`.
    pub fn of(name: &str, architecture: &Architecture) -> Option<Part> {
        let fused = |fused: &&FusedPart| fused.name == name && (fused.is_of)(architecture);
        let fused = FUSED.iter().find(fused).map(Part::Fused);
        let map = || Map::ALL.into_iter().find(|map| map.name() == name).map(Part::Map);
        let gain = |gain: &Gain| gain.name(architecture) == Some(name);
        let gain = || Gain::ALL.into_iter().find(gain).map(Part::Gain);
        fused.or_else(map).or_else(gain)
    }
}

/// What the linear maps in a tensor do that some architecture calls so, and what they read.
pub(super) fn maps_named(name: &str) -> Option<(Role, LinearInput)> {
    let map = Map::ALL.into_iter().find(|map| map.name() == name);
    let map = map.map(|map| (map.part().role, map.part().input));
    let fused = || {
        let fused = FUSED.iter().find(|fused| fused.name == name)?;
        Some((fused.role, fused.maps.first()?.part().input))
    };
    map.or_else(fused)
}

impl LinearInput {
    /// What the linear maps read that are in a tensor of a layer called so, between `blk.N.` and
    /// `.weight`.
    pub fn of(name: &str) -> Option<LinearInput> {
        maps_named(name).map(|(_, input)| input)
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::ARCHITECTURES;
    use super::*;

    #[test]
    fn every_part_is_found_by_the_name_that_it_has() {
        for architecture in &ARCHITECTURES {
            for map in Map::ALL {
                let fused = map.fused(architecture).is_some_and(|fused| fused.name == map.name());
                let found = Part::of(map.name(), architecture);
                assert!(matches!(found, Some(Part::Map(it)) if it == map && !fused) || fused);
            }
            for gain in Gain::ALL {
                let Some(name) = gain.name(architecture) else { continue };
                let found = Part::of(name, architecture);
                assert!(matches!(found, Some(Part::Gain(it)) if it == gain), "{name}");
            }
        }
        assert!(Part::of("attn", &ARCHITECTURES[0]).is_none());
    }

    #[test]
    fn maps_of_one_tensor_read_the_same() {
        for fused in &FUSED {
            let input = LinearInput::of(fused.name);
            assert!(fused.maps.iter().all(|map| Some(map.part().input) == input));
        }
    }
}
