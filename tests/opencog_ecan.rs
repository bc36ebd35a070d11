//! OpenCog's own Hopfield patterns, recalled through coded importance.

use std::path::Path;

use opencog_qat::opencog::ecan::{AttentionCodec, Pattern};
use opencog_qat::validate::opencog::attention::recall;

#[test]
fn codes_recall_what_full_precision_recalls() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opencog-data/attention");
    for size in ["3x3", "4x4", "10x10"] {
        let read = |kind: &str| {
            let path = folder.join(format!("hopfield_{kind}_patterns_{size}.txt"));
            let text = std::fs::read_to_string(&path).ok();
            text.map(|text| Pattern::read_all(&text).unwrap())
        };
        let (Some(patterns), Some(cues)) = (read("training"), read("cue")) else {
            return println!("skipped: {} is missing", folder.display());
        };
        let exact = recall(&patterns, &cues, None);
        for codec in [AttentionCodec::Palette, AttentionCodec::Geometric] {
            let coded = recall(&patterns, &cues, Some(codec));
            println!("{size}, {} patterns: {exact:.4}, {codec} {coded:.4}", patterns.len());
            assert!(coded >= exact - 0.02, "{size} {codec}: {coded} {exact}");
        }
    }
}
