//! Models of several sizes: one survey, one set of sensitivities, one search for all.

use super::error::PlanError;
use super::error::SearchError;
use super::progressive::Progressive;
use super::search::{Aim, Found, Judge, Known, Search};
use super::searchable::Searchable;

/// Searches for the best model of each size, in the order given. The searches differ in their flags
/// and in their limits only.
///
/// The smallest is found tensor by tensor, as [`Search::run`] does: there predictions are furthest
/// off, so that most is learnt. Each other one is made of the next smaller one, of which the tensors
/// stay that keep their format. Exchanges improve them, the smallest first, until one gains nothing.
///
/// # Errors
/// Those of [`Search::run`]; and if the limit of one size alone makes tensors give up a lattice that
/// holds them exactly, so that it has other formats to choose from than the rest.
pub fn search_family(
    searches: &[Search],
    judge: &mut dyn Judge,
) -> Result<Vec<Found>, SearchError> {
    debug_assert!(searches.iter().all(|search| search.aim == Aim::Best), "sizes are asked for");
    let mut order: Vec<usize> = (0..searches.len()).collect();
    order.sort_by_key(|&i| {
        (searches[i].searchable.budget.file, searches[i].searchable.budget.tensors)
    });
    let Some(&smallest) = order.first() else { return Ok(Vec::new()) };
    let Known { importance, searchable, sensitivities } = searches[smallest].survey()?;
    let finite = |search: &Search| {
        let own = search.searchable.finite(search.gguf, search.config, &importance)?;
        match own.offers_the_same_as(&searchable) {
            true => Ok(own),
            false => Err(PlanError::OtherFormats { size: search.config.goal.flag() }),
        }
    };
    let limits: Vec<Searchable> = searches.iter().map(finite).collect::<Result<_, _>>()?;
    let searches: Vec<Search> = searches
        .iter()
        .zip(&limits)
        .map(|(search, searchable)| Search { searchable, ..*search })
        .collect();

    let mut progressive = Progressive::new(&searches[smallest], &importance, &sensitivities, judge);
    progressive.probe()?;
    let mut reached = progressive.quantize_by_sensitivity()?;
    let mut found: Vec<Option<Found>> = searches.iter().map(|_| None).collect();
    let mut gains = true;
    for (place, &i) in order.iter().enumerate() {
        if place > 0 {
            reached = progressive.resize(&searches[i], &reached)?;
        }
        reached = progressive.exchange_while(&mut gains, reached)?;
        found[i] = Some(progressive.finish(reached.clone())?);
    }
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Goal};
    use crate::gguf::{Format, Gguf};
    use crate::model::{Model, Session, Untraced, Wanted};
    use crate::progress::Silent;
    use crate::quantize::{Header, Losses};
    use crate::work::Work;

    /// Finds that a model loses as much as its weights differ from those in full precision.
    struct OfWeights<'m>(&'m Model<'m>);

    impl Judge for OfWeights<'_> {
        fn losses(&mut self, model: &Model, _: usize) -> Result<Losses, SearchError> {
            let tokens: Vec<u32> = (0..8).collect();
            let logits = |model: &Model| {
                let mut logits = Vec::new();
                let mut session = Session::new(model);
                let hidden = session.hidden(&[&tokens], Wanted::All, &mut Untraced);
                model.logits(&hidden.unwrap(), &mut logits);
                logits
            };
            let differences = logits(self.0).into_iter().zip(logits(model));
            let squares: f32 = differences.map(|(a, b)| (a - b) * (a - b)).sum();
            Ok(Losses::new(vec![squares; 3]))
        }
    }

    /// What is found for these bits per weight.
    fn found(bits: &[f64]) -> Vec<Found> {
        let gguf =
            Gguf::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf")));
        let gguf = gguf.unwrap();
        let model = Model::of(&gguf).unwrap();
        let config = |&bpw: &f64| Config {
            goal: Goal { bpw: Some(bpw), ..Goal::default() },
            formats: Some(vec![Format::Q4_0, Format::Q5_0, Format::Q8_0]),
            ..Config::default()
        };
        let limits: Vec<(Config, Searchable)> = bits
            .iter()
            .map(config)
            .map(|config| {
                let header = Header { bytes: 100, alignment: 32 };
                let searchable = Searchable::new(&gguf, &config, header, 512).unwrap();
                (config, searchable)
            })
            .collect();
        let tokens: Vec<u32> = (0..64).map(|i| i * 29 % 2000).collect();
        let sequences: Vec<&[u32]> = tokens.chunks(8).collect();
        let search = |(config, searchable)| Search {
            gguf: &gguf,
            model: &model,
            config,
            searchable,
            sequences: &sequences,
            held_out: &sequences,
            aim: Aim::Best,
            work: &Work::Forgetful,
            progress: &Silent,
        };
        let searches: Vec<Search> = limits.iter().map(|(c, s)| search((c, s))).collect();
        let found = search_family(&searches, &mut OfWeights(&model)).unwrap();
        for (found, (_, searchable)) in found.iter().zip(&limits) {
            assert!(searchable.allows(&found.plan));
        }
        found
    }

    #[test]
    fn each_size_has_its_model_in_the_order_asked_for() {
        let found = found(&[6.0, 4.5, 5.0, 8.5]);
        let bytes = |found: &Found| found.plan.bytes(32).file;
        let [six, four, five, eight] = &found[..] else { panic!("{} found", found.len()) };
        assert!(bytes(four) < bytes(five) && bytes(five) < bytes(six) && bytes(six) < bytes(eight));
        let kld = |found: &Found| found.record.measured_kld;
        assert!(kld(four) > kld(five) && kld(five) > kld(six) && kld(six) > kld(eight));
        for one in &found {
            for tensor in one.plan.tensors.iter().filter(|tensor| tensor.choice.is_encoded()) {
                assert_eq!(one.encodings[&tensor.spec.name].format, tensor.spec.format);
            }
            // What was learnt once is told of each.
            assert_eq!(one.record.probes, four.record.probes);
            assert!(!one.record.sensitivities.is_empty() && !one.record.steps.is_empty());
        }
    }

    #[test]
    fn a_family_of_one_is_what_a_search_finds() {
        let [alone] = <[Found; 1]>::try_from(found(&[5.0])).ok().unwrap();
        let [small, _] = <[Found; 2]>::try_from(found(&[5.0, 6.0])).ok().unwrap();
        assert_eq!(alone.plan, small.plan);
        assert_eq!(alone.record, small.record);
        assert!(found(&[]).is_empty());
    }
}
