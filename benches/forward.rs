//! The forward pass against llama-perplexity and against bare matrix products, in turns.
//!
//! `cargo bench --bench forward`. Needs llama-perplexity and the SmolLM2 test model in the cache
//! folder that `.ci/run` fills.

#[path = "../tests/fetched/mod.rs"]
mod fetched;
mod product;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use opencog_qat::gguf::Gguf;
use opencog_qat::model::{Matrix, Model, Session, Tokenizer, Untraced, Wanted};

const CONTEXT: usize = 512;
/// Chunks that pass together, as in llama-perplexity.
const TOGETHER: usize = 4;
const TURNS: usize = 5;
const THREADS: usize = 2;

fn main() {
    let (tool, file) = (fetched::llama_cpp("llama-perplexity"), fetched::smollm2());
    let text = fetched::wikitext();
    if !fetched::present(&[&tool, &file, &text]) {
        return;
    }
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().unwrap();
    let gguf = Gguf::open(&file).unwrap();
    let model = Model::of(&gguf).unwrap();
    let tokenizer = Tokenizer::read(gguf.metadata()).unwrap();
    let tokens = tokenizer.encode_document(&std::fs::read_to_string(&text).unwrap());

    let mut session = Session::new(&model);
    let (mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let products = Products::of(&model);
    for _ in 0..TURNS {
        ours.push(prompt_rate(&mut session, &tokens));
        theirs.push(llama_perplexity_rate(&tool, &file, &text));
        bare.push(products.rate());
    }
    let (ours, theirs, bare) = (median(ours), median(theirs), median(bare));
    let flops = products.flops() / (TOGETHER * CONTEXT) as f64;
    println!("\nSmolLM2-135M, F16: {THREADS} threads, median of {TURNS} turns");
    println!(
        "  prompt, tokens/s    ours {ours:>6.0}   llama-perplexity {theirs:>6.0}   ratio {:.2}   wanted 0.9",
        ours / theirs
    );
    println!(
        "  products, GFLOP/s   ours {:>6.1}   bare gemm        {:>6.1}   ratio {:.2}   wanted 0.8",
        ours * flops / 1e9,
        bare * flops / 1e9,
        ours / bare
    );
    println!("  (ours counts the products of the linear maps only, and the time of everything)");
}

/// Tokens/s, logits at the scored half of the positions.
fn prompt_rate(session: &mut Session, tokens: &[u32]) -> f64 {
    let chunks: Vec<&[u32]> = tokens.chunks_exact(CONTEXT).take(TOGETHER).collect();
    let scored = |chunk: usize| (CONTEXT / 2..CONTEXT - 1).map(move |i| chunk * CONTEXT + i);
    let wanted: Vec<usize> = (0..TOGETHER).flat_map(scored).collect();
    let width = session.model().shape.width;
    let mut logits = Vec::new();
    let start = Instant::now();
    for _ in 0..2 {
        let hidden = session.hidden(&chunks, Wanted::Tokens(&wanted), &mut Untraced).unwrap();
        for rows in hidden.chunks(128 * width) {
            session.logits(rows, &mut logits);
        }
    }
    (2 * TOGETHER * CONTEXT) as f64 / start.elapsed().as_secs_f64()
}

/// Tokens/s of llama-perplexity: the time that more chunks take, so that loading does not count.
fn llama_perplexity_rate(tool: &Path, model: &Path, text: &Path) -> f64 {
    let time = |chunks: usize| {
        let mut command = Command::new(tool);
        command.args(["-c", &CONTEXT.to_string(), "-t", &THREADS.to_string()]);
        command.args(["--chunks", &chunks.to_string()]).arg("-m").arg(model).arg("-f").arg(text);
        let start = Instant::now();
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "llama-perplexity failed");
        start.elapsed().as_secs_f64()
    };
    let few = time(TOGETHER);
    let many = time(3 * TOGETHER);
    (2 * TOGETHER * CONTEXT) as f64 / (many - few)
}

/// A product of `m x k` inputs with `n x k` weights: m, n, k and the weights.
type Product = (usize, usize, usize, Vec<f32>);

/// The products of one pass: all linear maps on all tokens, the head on the scored ones.
struct Products {
    /// Those of one layer, and that of the head at the end.
    all: Vec<Product>,
    layers: usize,
}

impl Products {
    fn of(model: &Model) -> Products {
        let layer = &model.weights.layers[0];
        let tokens = TOGETHER * CONTEXT;
        let widened = |rows: usize, weight: &Matrix| {
            let mut values = vec![0.0; weight.rows * weight.columns];
            weight.widen(0, &mut values);
            (rows, weight.rows, weight.columns, values)
        };
        let maps = layer.maps();
        let mut all: Vec<_> = maps.map(|(_, map)| widened(tokens, &map.weight)).collect();
        all.push(widened(TOGETHER * (CONTEXT / 2 - 1), &model.weights.head.weight));
        Products { all, layers: model.shape.layers }
    }

    fn flops(&self) -> f64 {
        let flops = |(m, n, k, _): &Product| (2 * m * n * k) as f64;
        let (head, layer) = self.all.split_last().unwrap();
        layer.iter().map(flops).sum::<f64>() * self.layers as f64 + flops(head)
    }

    /// Tokens/s if there were nothing but these products.
    fn rate(&self) -> f64 {
        let most = |size: fn(&Product) -> usize| self.all.iter().map(size).max().unwrap();
        let x = vec![0.5f32; most(|(m, _, k, _)| m * k)];
        let mut y = vec![0.0f32; most(|(m, n, _, _)| m * n)];
        let mut run = |(m, n, k, w): &Product| product::bare((*m, *n, *k), &x, w, &mut y, THREADS);
        let (head, layer) = self.all.split_last().unwrap();
        let start = Instant::now();
        for _ in 0..self.layers {
            layer.iter().for_each(&mut run);
        }
        run(head);
        (TOGETHER * CONTEXT) as f64 / start.elapsed().as_secs_f64()
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
