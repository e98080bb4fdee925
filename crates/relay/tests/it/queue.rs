//! The queue as a state machine: time and randomness are the test's own.

use std::time::{Duration, Instant};

use netloom_packet::build;
use netloom_packet::offload::Header;
use netloom_relay::{Counters, Frame, Impairment, Queue, Random, SplitMix64};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// A frame of `len` bytes with a number in it.
fn frame(number: u32, len: usize) -> Frame {
    let mut bytes = build::ethernet([2; 6], [4; 6], 0x88b5, &number.to_be_bytes());
    bytes.resize(len.max(18), 0);
    Frame::new(&Header::default(), &bytes)
}

fn number(frame: &Frame) -> u32 {
    u32::from_be_bytes(frame.ethernet()[14..18].try_into().unwrap())
}

/// A TCP burst of `segments` packets of 1,000 bytes of payload.
fn burst(segments: usize) -> Frame {
    let path = build::Path {
        from_mac: [2; 6],
        to_mac: [4; 6],
        from: "10.0.0.1".parse().unwrap(),
        to: "10.0.0.2".parse().unwrap(),
        ttl: 64,
    };
    let tcp = etherparse::TcpHeader::new(1, 2, 3, 4);
    let bytes = build::tcp(&path, &tcp, &vec![7; segments * 1000]).unwrap();
    let header = Header { flags: 1, gso_type: 1, hdr_len: 54, gso_size: 1000, csum_start: 34, csum_offset: 16 };
    Frame::new(&header, &bytes)
}

/// Everything that comes out until `until`, with the time since `start`, the clock stepping from deadline to deadline.
fn drain(queue: &mut Queue, start: Instant, until: Duration) -> Vec<(Duration, Frame)> {
    let mut out = Vec::new();
    while let Some(at) = queue.next_deadline() {
        if at > start + until {
            break;
        }
        let (due, frame) = queue.pop_due(at).expect("a deadline that is reached yields a frame");
        assert_eq!(due, at);
        out.push((due.saturating_duration_since(start), frame));
    }
    out
}

#[test]
fn a_perfect_wire_passes_at_once() {
    let now = Instant::now();
    let mut q = Queue::new(Impairment::default());
    q.push(now, frame(1, 60), &mut SplitMix64::new(1));
    assert_eq!(q.pop_due(now).map(|(_, f)| number(&f)), Some(1));
    assert_eq!(q.pop_due(now), None);
    assert_eq!(q.next_deadline(), None);
}

#[test]
fn nothing_comes_before_its_time() {
    let now = Instant::now();
    let mut q = Queue::new(Impairment { delay: 20 * MS, ..Impairment::default() });
    q.push(now, frame(1, 60), &mut SplitMix64::new(1));
    assert_eq!(q.next_deadline(), Some(now + 20 * MS));
    assert_eq!(q.pop_due(now + 20 * MS - Duration::from_nanos(1)), None);
    assert!(q.pop_due(now + 20 * MS).is_some());
}

#[test]
fn loss_is_the_fraction_that_was_asked_for() {
    let now = Instant::now();
    let mut random = SplitMix64::new(42);
    let mut q = Queue::new(Impairment { loss: 0.1, limit: Some(1_000_000), ..Impairment::default() });
    let back = (0..100_000).filter(|n| q.push(now, frame(*n, 60), &mut random).is_some()).count();
    // Five standard deviations of a binomial with n = 100,000 and p = 0.1 are 474.
    assert!((9_526..=10_474).contains(&back), "{back}");
    assert_eq!(q.counters().lost, back as u64);
    let mut hole = Queue::new(Impairment::blackhole());
    assert!((0..1000).all(|n| hole.push(now, frame(n, 60), &mut random).is_some()));
    assert!(hole.is_empty());
}

#[test]
fn copies_are_as_many_as_asked_for_and_equal() {
    let now = Instant::now();
    let mut random = SplitMix64::new(7);
    let mut q = Queue::new(Impairment { duplicate: 0.25, limit: Some(1_000_000), ..Impairment::default() });
    for n in 0..10_000 {
        q.push(now, frame(n, 60), &mut random);
    }
    let copies = q.counters().duplicated;
    // Five standard deviations are 217.
    assert!((2_283..=2_717).contains(&copies), "{copies}");
    let out = drain(&mut q, now, MS);
    assert_eq!(out.len() as u64, 10_000 + copies);
    let mut all = Queue::new(Impairment { duplicate: 1.0, ..Impairment::default() });
    all.push(now, frame(5, 60), &mut random);
    let out: Vec<u32> = drain(&mut all, now, MS).iter().map(|(_, f)| number(f)).collect();
    assert_eq!(out, [5, 5]);
}

#[test]
fn a_damaged_frame_differs_in_one_bit() {
    let now = Instant::now();
    let mut random = SplitMix64::new(3);
    let mut q = Queue::new(Impairment { corrupt: 1.0, ..Impairment::default() });
    let good = frame(9, 60);
    for _ in 0..100 {
        q.push(now, good.clone(), &mut random);
        let (_, bad) = q.pop_due(now).unwrap();
        let bits: u32 = bad.ethernet().iter().zip(good.ethernet()).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(bits, 1);
    }
}

#[test]
fn a_burst_is_cut_and_only_one_packet_of_it_is_damaged() {
    let now = Instant::now();
    let mut random = SplitMix64::new(3);
    let mut q = Queue::new(Impairment { corrupt: 1.0, ..Impairment::default() });
    let good: Vec<Frame> = burst(5).into_packets();
    q.push(now, burst(5), &mut random);
    let out = drain(&mut q, now, MS);
    assert_eq!(out.len(), 5);
    assert_eq!(out.iter().zip(&good).filter(|((_, a), b)| a != *b).count(), 1);
    let Counters { received, sent, corrupted, cut, .. } = q.counters();
    assert_eq!((received, sent, corrupted, cut), (1, 5, 1, 4));
}

#[test]
fn rate_spaces_packets_by_their_size() {
    let now = Instant::now();
    let mut random = SplitMix64::new(1);
    // 8 Mbit/s: a byte takes a microsecond.
    let mut q = Queue::new(Impairment { rate: Some(8_000_000), delay: 5 * MS, ..Impairment::default() });
    for (n, len) in [(0, 1000), (1, 500), (2, 1500)] {
        q.push(now, frame(n, len), &mut random);
    }
    q.push(now, burst(3), &mut random);
    let times: Vec<u128> = drain(&mut q, now, 100 * MS).iter().map(|(t, _)| t.as_micros()).collect();
    // The burst is three packets of 1,054 bytes.
    assert_eq!(times, [6_000, 6_500, 8_000, 8_000 + 3 * 1054]);
    // A line that has run empty does not save up time.
    q.push(now + 50 * MS, frame(4, 1000), &mut random);
    assert_eq!(q.next_deadline(), Some(now + 56 * MS));
}

#[test]
fn jitter_alone_reorders_and_rate_keeps_it_in_line() {
    let now = Instant::now();
    let jittery = Impairment { delay: 20 * MS, jitter: 5 * MS, ..Impairment::default() };
    let run = |i: Impairment| {
        let mut random = SplitMix64::new(11);
        let mut q = Queue::new(i);
        for n in 0..500 {
            q.push(now + n * Duration::from_micros(10), frame(n, 60), &mut random);
        }
        drain(&mut q, now, 1000 * MS)
    };
    let out = run(jittery.clone());
    assert!(out.windows(2).any(|w| number(&w[0].1) > number(&w[1].1)));
    let delays: Vec<Duration> = out.iter().map(|(t, f)| *t - number(f) * Duration::from_micros(10)).collect();
    assert!(delays.iter().all(|d| (15 * MS..=25 * MS).contains(d)));
    // Uniform: the mean of 500 is within 5 × 2.89 ms / √500 of the middle, and both ends are visited.
    let mean = delays.iter().sum::<Duration>() / 500;
    assert!(mean.abs_diff(20 * MS) < Duration::from_micros(650), "{mean:?}");
    assert!(delays.iter().any(|d| *d < 16 * MS) && delays.iter().any(|d| *d > 24 * MS));

    let out = run(Impairment { rate: Some(1_000_000_000), ..jittery });
    assert!(out.windows(2).all(|w| number(&w[0].1) < number(&w[1].1)));
}

#[test]
fn reordered_packets_go_at_once() {
    let now = Instant::now();
    let mut random = SplitMix64::new(5);
    let mut q = Queue::new(Impairment { delay: 10 * MS, reorder: 0.25, limit: Some(100_000), ..Impairment::default() });
    for n in 0..10_000 {
        q.push(now, frame(n, 60), &mut random);
    }
    let ahead = drain(&mut q, now, Duration::ZERO);
    assert!((2_283..=2_717).contains(&ahead.len()), "{}", ahead.len());
    assert_eq!(q.counters().reordered, ahead.len() as u64);
    assert_eq!(q.next_deadline(), Some(now + 10 * MS));
    assert_eq!(drain(&mut q, now, 10 * MS).len(), 10_000 - ahead.len());
}

#[test]
fn the_limit_counts_packets_of_the_wire() {
    let now = Instant::now();
    let mut random = SplitMix64::new(5);
    let mut q = Queue::new(Impairment { delay: 10 * MS, limit: Some(10), ..Impairment::default() });
    assert!(q.push(now, burst(9), &mut random).is_none());
    assert!(q.push(now, frame(1, 60), &mut random).is_none());
    assert!(q.push(now, frame(2, 60), &mut random).is_some());
    assert_eq!(q.counters().overlimit, 1);
    drain(&mut q, now, 10 * MS);
    assert!(q.push(now, frame(3, 60), &mut random).is_none(), "there is room again");
}

#[test]
fn a_change_draws_in_what_waits_and_keeps_its_order() {
    let now = Instant::now();
    let mut random = SplitMix64::new(5);
    let mut q = Queue::new(Impairment { delay: 100 * MS, rate: Some(8_000), ..Impairment::default() });
    for n in 0..5 {
        q.push(now, frame(n, 1000), &mut random); // a second each
    }
    q.change(now + MS, Impairment { delay: 3 * MS, ..Impairment::default() });
    q.push(now + MS, frame(5, 60), &mut random);
    let out = drain(&mut q, now, 10 * MS);
    assert_eq!(out.iter().map(|(_, f)| number(f)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert!(out.iter().all(|(t, _)| *t == 4 * MS));

    // A longer delay does not hold back what was on its way.
    q.push(now + 20 * MS, frame(6, 60), &mut random);
    q.change(now + 20 * MS, Impairment { delay: 50 * MS, ..Impairment::default() });
    assert_eq!(q.next_deadline(), Some(now + 23 * MS));
}

#[test]
fn taking_the_wire_away_yields_the_rest_in_order() {
    let now = Instant::now();
    let mut random = SplitMix64::new(5);
    let mut q = Queue::new(Impairment { delay: 100 * MS, ..Impairment::default() });
    for n in 0..5 {
        q.push(now + n * MS, frame(n, 60), &mut random);
    }
    let rest: Vec<u32> = std::iter::from_fn(|| q.pop_any()).map(|f| number(&f)).collect();
    assert_eq!(rest, [0, 1, 2, 3, 4]);
    assert!(q.is_empty());
}

fn impairment() -> impl Strategy<Value = Impairment> {
    (
        (0_u64..50_000, 0_u64..50_000),
        prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
        proptest::option::of(10_000_u64..1_000_000_000),
        0.0..0.5_f64,
        0.0..0.5_f64,
        prop_oneof![Just(0.0), 0.0..1.0_f64],
        proptest::option::of(1_u32..200),
    )
        .prop_map(|((delay, jitter), loss, rate, duplicate, corrupt, reorder, limit)| Impairment {
            delay: Duration::from_micros(delay),
            jitter: Duration::from_micros(jitter),
            loss,
            rate,
            duplicate,
            corrupt,
            reorder,
            limit,
        })
}

#[derive(Clone, Debug)]
enum Step {
    Push { bursts: bool, len: usize },
    Wait(u64),
    Change(Impairment),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), 60_usize..1500).prop_map(|(bursts, len)| Step::Push { bursts, len }),
        4 => (0_u64..20_000).prop_map(Step::Wait),
        1 => impairment().prop_map(Step::Change),
    ]
}

proptest! {
    /// Whatever is done to it, no frame appears from nowhere and none vanishes uncounted.
    #[test]
    fn packets_are_conserved(first in impairment(), steps in proptest::collection::vec(step(), 1..200), seed in any::<u64>()) {
        let mut now = Instant::now();
        let mut random = SplitMix64::new(seed);
        let mut q = Queue::new(first);
        let (mut n, mut out) = (0_u32, 0_u64);
        for s in steps {
            match s {
                Step::Push { bursts, len } => {
                    let f = if bursts { burst(1 + len / 300) } else { frame(n, len) };
                    n += 1;
                    q.push(now, f, &mut random);
                }
                Step::Wait(us) => now += Duration::from_micros(us),
                Step::Change(i) => q.change(now, i),
            }
            let mut last = None;
            while let Some((due, _)) = q.pop_due(now) {
                prop_assert!(due <= now);
                if let Some(last) = last {
                    // What is sent ahead may be due later than the line; nothing else is out of turn.
                    prop_assert!(due >= last || q.counters().reordered > 0);
                }
                last = Some(due);
                out += 1;
            }
            prop_assert!(q.next_deadline().is_none_or(|d| d > now), "a frame that is due was kept");
            let c = q.counters();
            prop_assert_eq!(c.received, u64::from(n));
            prop_assert_eq!(c.sent, out);
            prop_assert_eq!(c.received + c.duplicated + c.cut, c.sent + c.lost + c.overlimit + q.len() as u64);
        }
        while q.pop_any().is_some() {
            out += 1;
        }
        prop_assert_eq!(q.counters().sent, out);
        prop_assert!(q.is_empty() && q.next_deadline().is_none());
    }

    /// Without jitter and reorder, frames leave in the order in which they came.
    #[test]
    fn order_is_kept_without_jitter(mut i in impairment(), gaps in proptest::collection::vec(0_u64..5_000, 1..200), seed in any::<u64>()) {
        (i.jitter, i.reorder, i.duplicate, i.corrupt) = (Duration::ZERO, 0.0, 0.0, 0.0);
        let start = Instant::now();
        let (mut now, mut random) = (start, SplitMix64::new(seed));
        let mut q = Queue::new(i);
        let mut seen = Vec::new();
        for (n, gap) in gaps.iter().enumerate() {
            now += Duration::from_micros(*gap);
            while let Some((_, f)) = q.pop_due(now) {
                seen.push(number(&f));
            }
            let len = 60 + random.below(1000) as usize;
            q.push(now, frame(n as u32, len), &mut random);
        }
        seen.extend(std::iter::from_fn(|| q.pop_any()).map(|f| number(&f)));
        prop_assert!(seen.is_sorted_by(|a, b| a < b));
    }

    /// Over any busy time, no more bits leave than the rate allows, and a busy line never rests.
    #[test]
    fn rate_holds_over_time(rate in 100_000_u64..1_000_000_000, sizes in proptest::collection::vec(60_usize..1514, 2..100)) {
        let now = Instant::now();
        let mut q = Queue::new(Impairment { rate: Some(rate), ..Impairment::default() });
        let mut bits = 0;
        for (n, size) in sizes.iter().enumerate() {
            bits += *size as u128 * 8;
            q.push(now, frame(n as u32, *size), &mut SplitMix64::new(0));
        }
        let mut end = now;
        while let Some((due, _)) = q.pop_due(now + Duration::from_secs(1000)) {
            end = due;
        }
        let took = (end - now).as_nanos();
        let ideal = bits * 1_000_000_000 / u128::from(rate);
        // Each packet's time is rounded down to a nanosecond.
        prop_assert!(took <= ideal && took + sizes.len() as u128 >= ideal, "{took} ns, {ideal} ns");
    }
}
