//! Rotary positions in the words of `config.json`.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use crate::model::{RopeScaling, Rotation};

/// Llama 3's stretching of rotary frequencies: those of long waves by `factor`, those of short ones
/// not at all, and a ramp in between.
struct Llama3 {
    factor: f64,
}

/// Of every Llama 3: the file has what becomes of them, not them.
impl Llama3 {
    const LOW: f64 = 1.0;
    const HIGH: f64 = 4.0;
    const CONTEXT: f64 = 8192.0;

    /// What a frequency of this many radians a token is divided by.
    fn divisor(&self, frequency: f64) -> f64 {
        let turns = Self::CONTEXT * frequency / TAU;
        if turns > Self::HIGH {
            1.0
        } else if turns < Self::LOW {
            self.factor
        } else {
            let along = (turns - Self::LOW) / (Self::HIGH - Self::LOW);
            1.0 / ((1.0 - along) / self.factor + along)
        }
    }
}

/// `rope_scaling`: null if nothing is scaled; or what `config.json` has no words for.
pub fn rope_scaling(rotation: &Rotation, factors: Option<&[f32]>) -> Result<Value, String> {
    let scaling = match rotation.scaling {
        RopeScaling::Linear { factor: 1.0 } => RopeScaling::None,
        scaling => scaling,
    };
    let factors = factors.filter(|factors| factors.iter().any(|&factor| factor != 1.0));
    let magnitude = rotation.magnitude;
    match (scaling, factors) {
        (RopeScaling::Yarn { factor, context, .. }, None) => {
            let mut yarn = json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": context,
            });
            if magnitude != 1.0 {
                // In its absence it is what the scaling asks for.
                yarn["attention_factor"] = json!(rotation.gain());
            }
            Ok(yarn)
        }
        _ if magnitude != 1.0 => {
            Err(format!("rotated queries and keys are multiplied by {magnitude}"))
        }
        (RopeScaling::None, None) => Ok(Value::Null),
        (RopeScaling::Linear { factor }, None) => {
            Ok(json!({ "rope_type": "linear", "factor": factor }))
        }
        (RopeScaling::None, Some(factors)) => llama3(rotation, factors),
        _ => Err("rotary frequencies are scaled and divided by rope_freqs.weight, too".into()),
    }
}

/// Divisors that Llama 3's rule gives.
fn llama3(rotation: &Rotation, factors: &[f32]) -> Result<Value, String> {
    let factor = factors.iter().copied().fold(1.0, f32::max);
    let rule = Llama3 { factor: factor.into() };
    let frequency =
        |pair: usize| f64::from(rotation.base).powf(-2.0 * pair as f64 / rotation.dims as f64);
    let is_near = |(pair, &found): (usize, &f32)| {
        let expected = rule.divisor(frequency(pair));
        (f64::from(found) - expected).abs() <= 1e-4 * expected
    };
    match factors.iter().enumerate().all(is_near) {
        true => Ok(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": Llama3::LOW,
            "high_freq_factor": Llama3::HIGH,
            "original_max_position_embeddings": Llama3::CONTEXT as u64,
        })),
        false => Err("rope_freqs.weight divides rotary frequencies by no rule of Llama 3".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RopePairs;
    use crate::model::YarnRamp;

    fn rotation(scaling: RopeScaling) -> Rotation {
        Rotation { pairs: RopePairs::Halves, dims: 64, base: 5e5, scaling, magnitude: 1.0 }
    }

    #[test]
    fn scaling_has_its_words() {
        let plain = rotation(RopeScaling::Linear { factor: 1.0 });
        assert_eq!(rope_scaling(&plain, Some(&[1.0; 32])), Ok(Value::Null));
        let linear = rope_scaling(&rotation(RopeScaling::Linear { factor: 8.0 }), None).unwrap();
        assert_eq!(linear, json!({ "rope_type": "linear", "factor": 8.0f32 }));
        let ramp = YarnRamp::default();
        let yarn = RopeScaling::Yarn { factor: 4.0, context: 2048, ramp };
        let words = rope_scaling(&rotation(yarn), None).unwrap();
        assert_eq!(words["original_max_position_embeddings"], 2048);
        assert_eq!(words.get("attention_factor"), None);
        let louder = Rotation { magnitude: 2.0, ..rotation(yarn) };
        let words = rope_scaling(&louder, None).unwrap();
        assert_eq!(words["attention_factor"], json!(2.0 * (1.0 + 0.1 * 4f64.ln())));
        let louder = Rotation { magnitude: 2.0, ..plain };
        assert!(rope_scaling(&louder, None).unwrap_err().contains("multiplied by 2"));
    }

    #[test]
    fn llama_3_is_known_by_what_it_divides_by() {
        let rotation = rotation(RopeScaling::None);
        let rule = Llama3 { factor: 32.0 };
        let frequency = |pair: usize| 5e5f64.powf(-2.0 * pair as f64 / 64.0);
        let mut factors: Vec<f32> =
            (0..32).map(|pair| rule.divisor(frequency(pair)) as f32).collect();
        assert!(factors[0] == 1.0 && factors[31] == 32.0);
        assert!(factors.iter().any(|&factor| factor > 1.0 && factor < 32.0), "a ramp");
        let words = rope_scaling(&rotation, Some(&factors)).unwrap();
        assert_eq!((&words["rope_type"], &words["factor"]), (&json!("llama3"), &json!(32.0f32)));
        factors[3] = 1.5;
        assert!(rope_scaling(&rotation, Some(&factors)).unwrap_err().contains("rope_freqs"));
    }
}
