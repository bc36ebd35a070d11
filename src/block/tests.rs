//! What every format must keep, on all kinds of rows.

mod inputs;
mod rounding;

use proptest::prelude::*;

use super::*;
use inputs::{COLUMNS, Case, ROW, VALUES, cases};

#[test]
#[ignore]
fn explore() {
    for format in Format::all().filter(|&f| can_encode(f)) {
        for values in VALUES {
            let mut line = String::new();
            for columns in COLUMNS {
                let (mut worst, mut bad, mut n, mut inf) = (0f64, 0, 0, 0);
                for seed in 0..400 {
                    let scale = 10f32.powf(-4.0 + 5.0 * (seed % 17) as f32 / 16.0);
                    let case = Case { values, columns, scale, seed };
                    let (row, importance) = case.sample();
                    let mut bytes = vec![0; format.bytes_of(ROW as u64).unwrap() as usize];
                    let mut out = vec![0.0; ROW];
                    encode(format, &row, ROW, importance.as_deref(), &mut bytes);
                    decode(format, &bytes, &mut out);
                    if out.iter().any(|x| !x.is_finite()) {
                        inf += 1;
                    }
                    let w = importance.map_or(vec![1.0; ROW], |w| floored(&w, ROW));
                    let len = format.block_len();
                    for b in 0..ROW / len {
                        let r = b * len..(b + 1) * len;
                        let reference = rounding::round_to_nearest(format, &row[r.clone()]);
                        let err = |y: &[f32]| -> f64 {
                            (0..len)
                                .map(|i| {
                                    w[r.start + i] as f64
                                        * (y[i] as f64 - row[r.start + i] as f64).powi(2)
                                })
                                .sum()
                        };
                        let (ours, theirs) = (err(&out[r.clone()]), err(&reference));
                        let slack = err(&vec![0.0; len]) * 1e-13;
                        n += 1;
                        if ours > theirs * 1.0001 + slack {
                            bad += 1;
                            worst = worst.max(ours / (theirs + slack));
                        }
                    }
                }
                if bad > 0 || inf > 0 {
                    line += &format!(" {columns:?}: {bad}/{n} worst {worst:.3}");
                    if inf > 0 {
                        line += &format!(" INF {inf}");
                    }
                    line += ";";
                }
            }
            if !line.is_empty() {
                println!("{format} {values:?}:{line}");
            }
        }
    }
}
