//! Probes, traffic, faults and assertions against a running lab, and verdicts with a cause.

pub mod verdict;
