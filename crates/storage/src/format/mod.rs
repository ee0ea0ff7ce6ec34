//! On-disk records: one module each, its doc comment shows the bytes. Parsing validates everything that
//! can be checked inside the record; offsets and limits live here and nowhere else.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod bitmap_index;
pub mod bytes;
pub mod column_versions;
pub mod meta;
pub mod partition_name;
pub mod registry;
pub mod seqlock;
pub mod sequencer;
pub mod symbol_table;
pub mod table_name;
pub mod txn;
