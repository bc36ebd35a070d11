//! The parts of a layer, in one table: what the file calls each, what it does, which input it reads
//! and how large it is.

use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
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
    /// One query or key.
    Head,
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
    /// What the file calls it, between `blk.N.` and `.weight`.
    pub name: &'static str,
    /// Values of what is normalised.
    pub len: Len,
    /// Whether an architecture has it.
    pub is_of: fn(&Architecture) -> bool,
}

/// A row of the table: several maps whose rows lie one after another in one tensor.
#[derive(Debug, PartialEq)]
pub struct FusedPart {
    /// What the file calls it, between `blk.N.` and `.weight`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// The maps, in the order of their rows.
    pub maps: &'static [Map],
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
    gain("attn_norm", Len::Width, |_| true),
    gain("attn_q_norm", Len::Head, |architecture| architecture.qk_norm),
    gain("attn_k_norm", Len::Head, |architecture| architecture.qk_norm),
    gain("post_attention_norm", Len::Width, |architecture| architecture.post_norms),
    gain("ffn_norm", Len::Width, |_| true),
    gain("post_ffw_norm", Len::Width, |architecture| architecture.post_norms),
];

/// Tensors that hold several maps, as llama.cpp's converter writes them if asked to.
pub const FUSED: [FusedPart; 1] =
    [FusedPart { name: "attn_qkv", role: Role::AttentionQkv, maps: &[Map::Q, Map::K, Map::V] }];

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
    pub fn fused(self) -> Option<&'static FusedPart> {
        FUSED.iter().find(|fused| fused.maps.contains(&self))
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

    /// What the file calls it, between `blk.N.` and `.weight`.
    pub fn name(self) -> &'static str {
        self.part().name
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
            Len::Head => attention.key_len,
        }
    }
}

/// What a tensor of a layer is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// A linear map.
    Map(Map),
    /// Several of them.
    Fused(&'static FusedPart),
    /// The gain of a norm.
    Gain(Gain),
}

impl Part {
    /// What the tensor is that the file calls so, between `blk.N.` and `.weight`.
    pub fn named(name: &str) -> Option<Part> {
        let map = Map::ALL.into_iter().find(|map| map.name() == name).map(Part::Map);
        let fused = || FUSED.iter().find(|fused| fused.name == name).map(Part::Fused);
        let gain = || Gain::ALL.into_iter().find(|gain| gain.name() == name).map(Part::Gain);
        map.or_else(fused).or_else(gain)
    }

    /// The input of the linear maps in it.
    pub fn input(self) -> Option<LinearInput> {
        match self {
            Part::Map(map) => Some(map.part().input),
            Part::Fused(fused) => fused.maps.first().map(|map| map.part().input),
            Part::Gain(_) => None,
        }
    }

    /// What it does.
    pub fn role(self) -> Role {
        match self {
            Part::Map(map) => map.part().role,
            Part::Fused(fused) => fused.role,
            Part::Gain(_) => Role::Norm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_what_they_tell_of() {
        for map in Map::ALL {
            assert_eq!(Part::named(map.name()), Some(Part::Map(map)));
        }
        for gain in Gain::ALL {
            assert_eq!(Part::named(gain.name()), Some(Part::Gain(gain)));
        }
        for fused in &FUSED {
            assert_eq!(Part::named(fused.name), Some(Part::Fused(fused)));
            let input = Part::Fused(fused).input();
            assert!(fused.maps.iter().all(|map| Some(map.part().input) == input));
            assert!(fused.maps.iter().all(|map| map.fused() == Some(fused)));
        }
        assert_eq!(Part::named("attn"), None);
    }
}
