//! Where nodes stand: in layers when the lab has them, on a circle when it is one, else where springs put them.
//! The same lab always looks the same.

use std::collections::VecDeque;

/// A point, in units of which a node takes about 60.
pub(super) type Point = (f64, f64);

/// Distance between neighbours.
const STEP: f64 = 120.0;

/// Places `n` nodes joined by `links`.
pub(super) fn place(n: usize, links: &[(usize, usize)]) -> Vec<Point> {
    if n == 0 {
        return Vec::new();
    }
    let mut near: Vec<Vec<usize>> = vec![Vec::new(); n];
    for &(a, b) in links {
        if a != b {
            if !near[a].contains(&b) {
                near[a].push(b);
            }
            if !near[b].contains(&a) {
                near[b].push(a);
            }
        }
    }
    if let Some(layers) = layers(&near) {
        return layered(&near, layers);
    }
    if let Some(order) = circle(&near) {
        return on_circle(n, &order);
    }
    springs(&near)
}

/// Layers counted from the edge of the network, when nearly all links join neighbouring ones: a tree, a fabric.
fn layers(near: &[Vec<usize>]) -> Option<Vec<Vec<usize>>> {
    let n = near.len();
    let linked = || near.iter().map(Vec::len).filter(|&d| d > 0);
    let (least, most) = (linked().min()?, linked().max()?);
    if n < 3 || least == most {
        return None;
    }
    let mut depth = vec![usize::MAX; n];
    let mut queue: VecDeque<usize> = (0..n).filter(|&i| near[i].len() == least).collect();
    if queue.len() * 5 < n {
        return None;
    }
    queue.iter().for_each(|&i| depth[i] = 0);
    while let Some(i) = queue.pop_front() {
        for &j in &near[i] {
            if depth[j] == usize::MAX {
                depth[j] = depth[i] + 1;
                queue.push_back(j);
            }
        }
    }
    if depth.contains(&usize::MAX) {
        return None;
    }
    let deepest = depth.iter().copied().max()?;
    let (mut all, mut level) = (0, 0);
    for i in 0..n {
        for &j in &near[i] {
            all += 1;
            level += usize::from(depth[i] == depth[j]);
        }
    }
    if !(1..=8).contains(&deepest) || level * 20 > all {
        return None;
    }
    // The core on top.
    let mut layers = vec![Vec::new(); deepest + 1];
    for (i, &d) in depth.iter().enumerate() {
        layers[deepest - d].push(i);
    }
    Some(layers)
}

/// Rows, each ordered by where its neighbours stand (the barycentre rule), so that links cross little.
fn layered(near: &[Vec<usize>], mut layers: Vec<Vec<usize>>) -> Vec<Point> {
    let widest = layers.iter().map(Vec::len).max().unwrap_or(1);
    let mut at = vec![0.0; near.len()];
    let spread = |row: &[usize], at: &mut [f64]| {
        let gap = widest as f64 / row.len() as f64;
        for (i, &node) in row.iter().enumerate() {
            at[node] = (i as f64 + 0.5) * gap;
        }
    };
    let mut row = vec![0; near.len()];
    for (l, nodes) in layers.iter().enumerate() {
        nodes.iter().for_each(|&i| row[i] = l);
        spread(nodes, &mut at);
    }
    // Down by what stands above, then up by what stands below: each part of a fabric keeps together.
    let down = (1..layers.len()).map(|l| (l, l - 1));
    let up = (1..layers.len()).rev().map(|l| (l - 1, l));
    for (l, by) in down.chain(up) {
        let centre = |node: usize| {
            let there = near[node].iter().filter(|&&j| row[j] == by);
            let (sum, count) = there.fold((0.0, 0.0), |(s, c), &j| (s + at[j], c + 1.0));
            if count > 0.0 { sum / count } else { at[node] }
        };
        let mut keyed: Vec<(f64, usize)> = layers[l].iter().map(|&i| (centre(i), i)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        layers[l] = keyed.into_iter().map(|(_, i)| i).collect();
        spread(&layers[l], &mut at);
    }
    // Wide labs get wide: rows stand farther apart, so that links are not flat.
    let row_gap = (STEP * 1.4).max(widest as f64 * STEP * 0.16);
    let mut out = vec![(0.0, 0.0); near.len()];
    for (l, row) in layers.iter().enumerate() {
        for &node in row {
            out[node] = (at[node] * STEP, l as f64 * row_gap);
        }
    }
    out
}

/// The nodes in order, when they are one ring.
fn circle(near: &[Vec<usize>]) -> Option<Vec<usize>> {
    if near.len() < 3 || near.iter().any(|n| n.len() != 2) {
        return None;
    }
    let mut order = vec![0];
    let (mut last, mut here) = (0, near[0][0]);
    while here != 0 {
        order.push(here);
        let next = if near[here][0] == last { near[here][1] } else { near[here][0] };
        (last, here) = (here, next);
    }
    (order.len() == near.len()).then_some(order)
}

fn on_circle(n: usize, order: &[usize]) -> Vec<Point> {
    let radius = (n as f64 * STEP / std::f64::consts::TAU).max(STEP);
    let mut out = vec![(0.0, 0.0); n];
    for (i, &node) in order.iter().enumerate() {
        let angle = std::f64::consts::TAU * i as f64 / n as f64 - std::f64::consts::FRAC_PI_2;
        out[node] = (radius * angle.cos(), radius * angle.sin());
    }
    out
}

/// Fruchterman and Reingold's springs (1991), with repulsion only between nodes in neighbouring cells once there are many.
fn springs(near: &[Vec<usize>]) -> Vec<Point> {
    let n = near.len();
    let mut at = on_circle(n, &walk(near));
    let side = (n as f64).sqrt() * STEP * 1.2;
    let reach = STEP * 3.0;
    let rounds = if n <= 100 {
        400
    } else if n <= 500 {
        200
    } else {
        80
    };
    let mut push = vec![(0.0, 0.0); n];
    for round in 0..rounds {
        push.iter_mut().for_each(|p| *p = (0.0, 0.0));
        let cells = cells(&at, reach);
        for i in 0..n {
            let mut repel = |j: usize| {
                if i == j {
                    return;
                }
                let (dx, dy) = (at[i].0 - at[j].0, at[i].1 - at[j].1);
                let d = (dx * dx + dy * dy).sqrt().max(0.1);
                let f = STEP * STEP / d;
                push[i].0 += dx / d * f;
                push[i].1 += dy / d * f;
            };
            if n <= 300 {
                (0..n).for_each(&mut repel);
            } else {
                let (cx, cy) = cell(at[i], reach);
                for key in (-1..=1).flat_map(|x| (-1..=1).map(move |y| (cx + x, cy + y))) {
                    cells.get(&key).into_iter().flatten().copied().for_each(&mut repel);
                }
            }
            for &j in &near[i] {
                let (dx, dy) = (at[j].0 - at[i].0, at[j].1 - at[i].1);
                let d = (dx * dx + dy * dy).sqrt();
                push[i].0 += dx * d / STEP;
                push[i].1 += dy * d / STEP;
            }
            // A little gravity keeps separate parts together.
            push[i].0 -= at[i].0 * 0.15;
            push[i].1 -= at[i].1 * 0.15;
        }
        let heat = side * 0.1 * (1.0 - f64::from(round) / f64::from(rounds)) + 1.0;
        for i in 0..n {
            let d = (push[i].0 * push[i].0 + push[i].1 * push[i].1).sqrt().max(0.1);
            let step = d.min(heat);
            at[i].0 += push[i].0 / d * step;
            at[i].1 += push[i].1 / d * step;
        }
    }
    at
}

fn cell((x, y): Point, size: f64) -> (i64, i64) {
    #[expect(clippy::cast_possible_truncation, reason = "a picture is never 2^63 cells wide")]
    let c = ((x / size).floor() as i64, (y / size).floor() as i64);
    c
}

fn cells(at: &[Point], size: f64) -> std::collections::HashMap<(i64, i64), Vec<usize>> {
    let mut out: std::collections::HashMap<_, Vec<usize>> = std::collections::HashMap::new();
    for (i, &p) in at.iter().enumerate() {
        out.entry(cell(p, size)).or_default().push(i);
    }
    out
}

/// All nodes, each near those it is linked with: where the springs start decides how well they end.
fn walk(near: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; near.len()];
    let mut out = Vec::with_capacity(near.len());
    for start in 0..near.len() {
        let mut stack = vec![start];
        while let Some(i) = stack.pop() {
            if !std::mem::replace(&mut seen[i], true) {
                out.push(i);
                stack.extend(near[i].iter().rev().filter(|&&j| !seen[j]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fabric_stands_in_rows() {
        // Two spines, three leaves, a host on each leaf.
        let links = [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1), (5, 2), (6, 3), (7, 4)];
        let at = place(8, &links);
        let row = |i: usize| at[i].1;
        assert!(row(0) == row(1) && row(2) == row(4) && row(5) == row(7));
        assert!(row(0) < row(2) && row(2) < row(5));
    }

    #[test]
    fn a_ring_is_a_circle() {
        let links: Vec<_> = (0..12).map(|i| (i, (i + 1) % 12)).collect();
        let at = place(12, &links);
        let radius = |p: Point| (p.0 * p.0 + p.1 * p.1).sqrt();
        assert!(at.iter().all(|&p| (radius(p) - radius(at[0])).abs() < 1e-6));
    }

    #[test]
    fn nobody_stands_on_another() {
        let grid: Vec<_> =
            (0..20).filter(|i| i % 5 != 4).map(|i| (i, i + 1)).chain((0..15).map(|i| (i, i + 5))).collect();
        for (n, links) in [(20, grid.as_slice()), (5, &[]), (4, &[(0, 1)]), (1, &[])] {
            let at = place(n, links);
            assert_eq!(at, place(n, links));
            for i in 0..n {
                for j in 0..i {
                    let d = ((at[i].0 - at[j].0).powi(2) + (at[i].1 - at[j].1).powi(2)).sqrt();
                    assert!(d > 30.0 && d.is_finite(), "{i} and {j} of {n}: {d}");
                }
            }
        }
    }
}
