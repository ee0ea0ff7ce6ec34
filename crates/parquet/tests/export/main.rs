//! The writer from outside: files are read back with the library's reader and compared with what went in.
#![allow(missing_docs)]

mod failure;
mod files;
mod layouts;
mod random;
mod row_groups;
mod statistics;
mod support;
