//! What every codec promises, on random values and on values as real files have them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::opencog::atomspace::LOOKAHEAD;

/// Numbers as files have them: exact ends, the tiny, the nearly certain, the outside, the odd.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0f64,
        2 => (0u32..2000).prop_map(|n| f64::from(n) / (f64::from(n) + LOOKAHEAD)),
        2 => (-40.0..0.0f64).prop_map(f64::exp),
        1 => (-40.0..0.0f64).prop_map(|x| 1.0 - x.exp()),
        1 => 0.985..0.995f64,
        1 => -2.0..3.0f64,
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, 0.99, 0.5, 1e-5, 0.001, 1.0 / 801.0]),
        1 => prop::sample::select(vec![f64::MIN_POSITIVE, 5e-324, 1.0 - f64::EPSILON / 2.0, 1e300]),
    ]
}

fn truths(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Truth>> {
    let truth =
        (number(), number()).prop_map(|(strength, confidence)| Truth { strength, confidence });
    vec(truth, len)
}

/// The codecs that promise something.
fn guarded() -> impl Iterator<Item = Codec> {
    Codec::all().filter(|&codec| codec != Codec::PlainUniform)
}

/// All values within the tolerance in the two quantities' own terms.
fn within(before: &[Truth], after: &[Truth], tolerance: f64) -> bool {
    before.iter().zip(after).all(|(a, b)| {
        Quantity::Strength.error(a.strength, b.strength) <= tolerance
            && Quantity::Confidence.error(a.confidence, b.confidence) <= tolerance
    })
}

proptest! {
    #[test]
    fn no_guard_is_broken(values in truths(0..700), tolerance in prop_oneof![Just(TOLERANCE), Just(0.1), Just(f64::INFINITY)]) {
        for codec in guarded() {
            let Some(coded) = codec.encode(&values, tolerance) else { continue };
            let damage = Damage::between(&values, &coded.decode());
            prop_assert_eq!(damage.guards_broken(), 0, "{}: {:?}", codec, damage);
            prop_assert!(within(&values, &coded.decode(), tolerance), "{}", codec);
        }
    }

    #[test]
    fn the_chosen_code_is_within_the_tolerance(values in truths(0..700)) {
        let (codec, coded) = choose(&values, TOLERANCE);
        prop_assert!(codec != Codec::PlainUniform);
        let decoded = coded.decode();
        prop_assert!(within(&values, &decoded, TOLERANCE));
        let damage = Damage::between(&values, &decoded);
        prop_assert_eq!(damage.guards_broken(), 0);
        prop_assert_eq!(damage.strength.beyond_tolerance + damage.confidence.beyond_tolerance, 0);
    }

    #[test]
    fn what_was_coded_is_coded_so_again(
        values in prop_oneof![truths(0..700), truths(1000..1500)],
        tolerance in prop_oneof![Just(TOLERANCE), Just(0.1)],
    ) {
        for codec in Codec::all() {
            let Some(coded) = codec.encode(&values, tolerance) else { continue };
            let again = codec.encode(&coded.decode(), tolerance).unwrap();
            prop_assert_eq!(format!("{:?}", &again), format!("{:?}", &coded), "{}", codec);
        }
        let (codec, coded) = choose(&values, tolerance);
        let (again, recoded) = choose(&coded.decode(), tolerance);
        prop_assert_eq!(again, codec);
        prop_assert_eq!(format!("{recoded:?}"), format!("{coded:?}"));
    }

    #[test]
    fn few_pairs_lose_nothing(pairs in truths(1..257), picks in vec(any::<prop::sample::Index>(), 0..600)) {
        let values: Vec<Truth> = picks.iter().map(|pick| *pick.get(&pairs)).collect();
        let (codec, coded) = choose(&values, TOLERANCE);
        prop_assert_eq!(codec, Codec::Palette);
        let bits = |values: &[Truth]| values.iter().map(|value| value.bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&coded.decode()), bits(&values));
    }

    #[test]
    fn the_plain_code_is_the_specifications(values in truths(0..300)) {
        let coded = Codec::PlainUniform.encode(&values, TOLERANCE).unwrap();
        for (value, coded) in values.iter().zip(coded.decode()) {
            let expected = |x: f64| (255.0 * x.clamp(0.0, 1.0)).round() / 255.0;
            prop_assert_eq!(coded.strength, expected(value.strength));
            prop_assert_eq!(coded.confidence, expected(value.confidence));
        }
    }
}

#[test]
fn what_is_no_number_is_kept() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0];
    let values: Vec<Truth> = odd
        .iter()
        .flat_map(|&strength| odd.map(|confidence| Truth { strength, confidence }))
        .collect();
    for codec in guarded() {
        let decoded = codec.encode(&values, f64::INFINITY).unwrap().decode();
        assert_eq!(format!("{decoded:?}"), format!("{values:?}"), "{codec}");
    }
}

#[test]
fn plain_uniform_zeroes_what_ecan_and_go_files_have() {
    // GO annotations: strengths of 1e-5 and 0.001; one observation: confidence 1/801.
    let values: Vec<Truth> = [(1e-5, 0.9), (0.001, 0.9), (0.9, 1.0 / 801.0), (1.1021, 0.999)]
        .map(|(strength, confidence)| Truth { strength, confidence })
        .to_vec();
    let coded = Codec::PlainUniform.encode(&values, TOLERANCE).unwrap();
    let damage = Damage::between(&values, &coded.decode());
    assert_eq!((damage.strength.zeroed, damage.confidence.zeroed), (2, 1));
    assert_eq!((damage.strength.pulled_inside, damage.confidence.raised_to_one), (1, 1));
}

#[test]
fn many_pairs_are_coded_by_what_suits_them() {
    // Counts of 1 to 3000 and strengths of fractions n / 3000: no palette.
    let truth = |n: u32| Truth {
        strength: f64::from(n) / 3000.0,
        confidence: f64::from(n) / (f64::from(n) + LOOKAHEAD),
    };
    let values: Vec<Truth> = (1..=3000).map(truth).collect();
    assert_eq!(Codec::Palette.encode(&values, TOLERANCE), None);
    let (codec, coded) = choose(&values, TOLERANCE);
    let exceptions = |codec: Codec| codec.encode(&values, TOLERANCE).unwrap().exceptions();
    assert_eq!(codec, Codec::PerColumn);
    assert!(coded.exceptions() < exceptions(Codec::LogCount).min(exceptions(Codec::Uniform)));
    // Without exceptions the worst error of fitted levels is that of equal ratios: ln(3000) / 254 / 2.
    let loose = Codec::PerColumn.encode(&values, f64::INFINITY).unwrap();
    let damage = Damage::between(&values, &loose.decode());
    assert_eq!(loose.exceptions(), 0);
    assert!(damage.strength.max_error < 0.017, "{damage:?}");
    assert!(damage.confidence.max_error < 0.017, "{damage:?}");
}

#[test]
fn counts_of_all_magnitudes_suit_levels_by_count() {
    // From one observation to 3000 in equal ratios: even levels of confidence are too far apart
    // at the low end.
    let truth = |i: i32| {
        let count = 3000f64.powf(f64::from(i) / 999.0);
        Truth { strength: 1.0, confidence: count / (count + LOOKAHEAD) }
    };
    let values: Vec<Truth> = (0..1000).map(truth).collect();
    let rms = |codec: Codec| {
        let coded = codec.encode(&values, f64::INFINITY).unwrap();
        Damage::between(&values, &coded.decode()).confidence.rms_error
    };
    assert!(rms(Codec::LogCount) < 0.2 * rms(Codec::Uniform));
    assert!(rms(Codec::PerColumn) <= rms(Codec::LogCount));
}

#[test]
fn codecs_are_known_by_name() {
    for codec in Codec::all() {
        assert_eq!(codec.name().parse(), Ok(codec));
    }
    let error = "uniform7".parse::<Codec>().unwrap_err().to_string();
    assert!(error.contains("`uniform7`") && error.contains("logcount8"), "{error}");
}
