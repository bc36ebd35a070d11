//! Where the labels of a plot lie beside their points. A plot fills any width, and a label keeps its
//! place beside the point, so that places are tried at two widths.

use super::axis::HEIGHT;

/// The widths that labels are placed for: those of a plot on a phone, and on a wide screen.
const WIDTHS: [f64; 2] = [290.0, 940.0];
/// How far labels reach beyond the upper end, below the title of the axis.
const TOP: f64 = -17.0;
/// Half the width of a letter, about.
const HALF_LETTER: f64 = 3.6;

/// Where a label lies beside its point, in CSS pixels, and which of its ends is there.
pub type LabelPlace = (f64, f64, &'static str);

/// Places for labels, the best first.
const LABEL_PLACES: [LabelPlace; 12] = [
    (11.0, 4.0, "start"),
    (-11.0, 4.0, "end"),
    (0.0, -13.0, "middle"),
    (0.0, 22.0, "middle"),
    (9.0, -11.0, "start"),
    (9.0, 19.0, "start"),
    (-9.0, -11.0, "end"),
    (-9.0, 19.0, "end"),
    (0.0, -28.0, "middle"),
    (0.0, 37.0, "middle"),
    (9.0, -26.0, "start"),
    (-9.0, 34.0, "end"),
];

/// What is bad about a place, in the order of what is worst: that it is outside of the plot, that
/// another label or a point is there, that a line runs through it.
const FAULTS: [usize; 3] = [24, 8, 3];

/// Left, top, right and bottom.
type Area = [f64; 4];

/// A plot of some width, as labels are put on it.
struct Canvas {
    width: f64,
    /// What points and labels cover.
    taken: Vec<Area>,
    /// Pieces of lines.
    pieces: Vec<[(f64, f64); 2]>,
}

/// A place for each label: if there is any, one where it covers no other, no point and no line.
/// Points are shares of the width, and pixels from the top.
pub fn label_places(points: &[(f64, f64, &str)], lines: &[Vec<(f64, f64)>]) -> Vec<LabelPlace> {
    let mut canvases = WIDTHS.map(|width| Canvas::new(width, points, lines));
    let place = |point: &(f64, f64, &str)| {
        let faults =
            |place: &&LabelPlace| canvases.iter().map(|it| it.faults(point, place)).sum::<usize>();
        let place = *LABEL_PLACES.iter().min_by_key(faults).expect("there are some");
        canvases.iter_mut().for_each(|it| it.taken.push(label_box(it.width, point, &place)));
        place
    };
    points.iter().map(place).collect()
}

impl Canvas {
    fn new(width: f64, points: &[(f64, f64, &str)], lines: &[Vec<(f64, f64)>]) -> Canvas {
        let at = |(x, y): (f64, f64)| (x * width, y);
        let pieces = lines.iter().flat_map(|line| line.windows(2));
        Canvas {
            width,
            taken: points.iter().map(|(x, y, _)| around(x * width, *y, 7.0, 7.0)).collect(),
            pieces: pieces.map(|piece| [at(piece[0]), at(piece[1])]).collect(),
        }
    }

    /// How bad a place is.
    fn faults(&self, point: &(f64, f64, &str), place: &LabelPlace) -> usize {
        let label = label_box(self.width, point, place);
        let [left, top, right, bottom] = label;
        let is_inside =
            left >= -6.0 && right <= self.width + 6.0 && top >= TOP && bottom <= HEIGHT + 2.0;
        let covered = self.taken.iter().filter(|other| overlap(other, &label)).count();
        let crossed = self.pieces.iter().filter(|piece| crosses(piece, &label)).count();
        let [outside, taken, line] = FAULTS;
        outside * usize::from(!is_inside) + taken * covered + line * crossed.min(1)
    }
}

/// What a label covers on a plot of some width.
fn label_box(width: f64, (x, y, label): &(f64, f64, &str), (dx, dy, anchor): &LabelPlace) -> Area {
    let half = HALF_LETTER * label.chars().count() as f64;
    let middle = match *anchor {
        "start" => x * width + dx + half,
        "end" => x * width + dx - half,
        _ => x * width + dx,
    };
    around(middle, y + dy - 4.0, half, 7.0)
}

fn around(x: f64, y: f64, wide: f64, high: f64) -> Area {
    [x - wide, y - high, x + wide, y + high]
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Whether a piece of a line runs through a box: whether there is a part of it between the box's
/// left and right, and between its top and bottom.
fn crosses([a, b]: &[(f64, f64); 2], [left, top, right, bottom]: &Area) -> bool {
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (start, step, low, high) in [(a.0, b.0 - a.0, left, right), (a.1, b.1 - a.1, top, bottom)] {
        if step == 0.0 {
            if start < *low || start > *high {
                return false;
            }
            continue;
        }
        let (enter, leave) = ((low - start) / step, (high - start) / step);
        from = from.max(enter.min(leave));
        to = to.min(enter.max(leave));
    }
    from <= to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What labels in their places cover, at some width.
    fn boxes(width: f64, points: &[(f64, f64, &str)], lines: &[Vec<(f64, f64)>]) -> Vec<Area> {
        let places = label_places(points, lines);
        points.iter().zip(&places).map(|(point, place)| label_box(width, point, place)).collect()
    }

    #[test]
    fn labels_cover_no_other_where_there_is_room() {
        let crowded = [
            (0.05, 20.0, "this model"),
            (0.13, 17.0, "Q4_K_M"),
            (0.30, 120.0, "Q5_K_M"),
            (0.33, 122.0, "Q5_K_S"),
            (0.95, 275.0, "Q8_0"),
            (0.97, 268.0, "another"),
        ];
        for width in WIDTHS {
            let boxes = boxes(width, &crowded, &[]);
            for (i, a) in boxes.iter().enumerate() {
                assert!(boxes[..i].iter().all(|b| !overlap(a, b)), "{} at {width}", crowded[i].2);
            }
            let inside = |[left, _, right, _]: &Area| *left >= -6.0 && *right <= width + 6.0;
            assert!(boxes.iter().all(inside), "{boxes:?}");
        }
        assert_eq!(label_places(&[(0.5, 100.0, "alone")], &[]), [LABEL_PLACES[0]]);
    }

    #[test]
    fn no_line_runs_through_a_label() {
        // Five sizes of a model: a curve that falls from the upper end, steeply and then less.
        let points = [
            (0.04, 8.0, "model-4.5bpw.gguf"),
            (0.2, 110.0, "model-5bpw.gguf"),
            (0.36, 160.0, "model-92MB.gguf"),
            (0.6, 215.0, "model-6bpw.gguf"),
            (0.96, 250.0, "model-8bpw.gguf"),
        ];
        let line: Vec<(f64, f64)> = points.iter().map(|&(x, y, _)| (x, y)).collect();
        for width in WIDTHS {
            let labels = boxes(width, &points, std::slice::from_ref(&line));
            for (piece, (label, (.., name))) in line
                .windows(2)
                .flat_map(|piece| labels.iter().zip(&points).map(move |it| (piece, it)))
            {
                let piece = [(piece[0].0 * width, piece[0].1), (piece[1].0 * width, piece[1].1)];
                assert!(!crosses(&piece, label), "{name} at {width}");
            }
        }
    }

    #[test]
    fn a_line_crosses_a_box_or_passes_it() {
        let middle = [2.0, 2.0, 4.0, 3.0];
        assert!(crosses(&[(0.0, 0.0), (6.0, 5.0)], &middle));
        assert!(crosses(&[(3.0, 0.0), (3.0, 9.0)], &middle));
        assert!(!crosses(&[(5.0, 0.0), (5.0, 9.0)], &middle));
        assert!(!crosses(&[(0.0, 0.0), (1.0, 1.0)], &middle));
        assert!(!crosses(&[(0.0, 3.5), (9.0, 3.5)], &middle));
    }
}
