//! A tied embedding has two uses: tokens are looked up in it, and it is the output head. Its errors
//! cost in both, and compensation, which goes by the inputs of the head, makes good those of one.

use serde::{Deserialize, Serialize};

use crate::calibrate::Gram;

use super::pass::plain;
use super::progressive::PROBE_CHUNKS;
use super::search::{Judge, Search, SearchError};
use super::sensitivity::Sensitivity;

/// Its name in a file.
const EMBEDDING: &str = "token_embd.weight";
/// Looking up is taken to matter no more than so many times as much as the head.
const MOST: f64 = 8.0;

/// What a tied embedding costs in each of its uses, rounded to the fewest bits; all else in full
/// precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TiedUses {
    /// KLD where the embedding is rounded for looking up only.
    pub lookup_kld: f64,
    /// KLD where it is rounded as output head only.
    pub head_kld: f64,
}

impl TiedUses {
    /// Measures them; `None` where there is no tied embedding to quantize.
    pub fn measure(
        search: &Search,
        sensitivities: &[Sensitivity],
        judge: &mut dyn Judge,
    ) -> Result<Option<TiedUses>, SearchError> {
        let Search { gguf, model, .. } = *search;
        let embedding = sensitivities.iter().find(|s| s.name == EMBEDDING);
        let Some(embedding) = embedding.filter(|_| model.weights.tied) else { return Ok(None) };
        let format = embedding.candidates[embedding.probe()].format;
        let bytes = plain(gguf, &gguf.tensors()[embedding.tensor], format, None)?;
        let (mut looked_up, mut head) = (model.clone(), model.clone());
        looked_up.weights.embedding.replace(format, &bytes);
        head.weights.head.weight.replace(format, &bytes);
        Ok(Some(TiedUses {
            lookup_kld: judge.kld(&looked_up, PROBE_CHUNKS)?,
            head_kld: judge.kld(&head, PROBE_CHUNKS)?,
        }))
    }

    /// Makes the Gram matrix of the head's inputs that of both uses: an error of a row of weights
    /// costs where its token is looked up in proportion to its squared length, whatever the column.
    pub fn add_to(self, gram: &mut Gram) {
        let TiedUses { lookup_kld, head_kld } = self;
        let share = if head_kld > 0.0 { (lookup_kld / head_kld).clamp(0.0, MOST) } else { 0.0 };
        // The errors that were measured are about as large in all columns.
        gram.lift(share as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::gguf::{Format, Gguf};
    use crate::model::Model;
    use crate::progress::Silent;
    use crate::quantize::sensitivity::Bands;
    use crate::quantize::{Aim, Header, Searchable};
    use crate::work::Work;

    /// Tells by the formats of a model which uses of the embedding are rounded.
    struct ByUse;

    impl Judge for ByUse {
        fn kld(&mut self, model: &Model, _: usize) -> Result<f64, SearchError> {
            let [embedding, head] = [model.weights.embedding, model.weights.head.weight];
            let rounded = |format| if format == Format::Q4_0 { 1.0 } else { 0.0 };
            Ok(3.0 * rounded(embedding.format) + 2.0 * rounded(head.format))
        }
    }

    #[test]
    fn each_use_is_measured_alone() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let mut model = Model::of(&gguf).unwrap();
        let formats = Some(vec![Format::Q4_0, Format::Q8_0]);
        let config = &Config { formats, ..Config::default() };
        let header = Header { bytes: 100, alignment: 32 };
        let searchable = &Searchable::new(&gguf, config, header, 512).unwrap();
        let sensitivities = searchable.sensitivities(&gguf, Bands::new(4));
        let measured = |model: &Model| {
            let search = Search {
                gguf: &gguf,
                model,
                config,
                searchable,
                sequences: &[],
                held_out: &[],
                aim: Aim::Best,
                work: &Work::Forgetful,
                progress: &Silent,
            };
            TiedUses::measure(&search, &sensitivities, &mut ByUse).unwrap()
        };
        let uses = TiedUses { lookup_kld: 3.0, head_kld: 2.0 };
        assert_eq!(measured(&model), Some(uses));
        model.weights.tied = false;
        assert_eq!(measured(&model), None);
    }

    #[test]
    fn the_share_of_lookups_is_added_to_the_diagonal() {
        let lifted = |lookup_kld, head_kld| {
            let mut gram = Gram { columns: 2, values: vec![1.0, 0.5, 0.5, 3.0], tokens: 1 };
            TiedUses { lookup_kld, head_kld }.add_to(&mut gram);
            assert_eq!(gram.values[1..3], [0.5; 2]);
            gram.values[3]
        };
        assert_eq!(lifted(3.0, 2.0), 6.0);
        assert_eq!(lifted(3.0, 0.0), 3.0, "nothing is known");
        assert_eq!(lifted(3.0, 1e-9), 3.0 + 2.0 * MOST as f32);
    }
}
