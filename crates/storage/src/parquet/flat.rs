//! Decodes the column chunks that a server writes by default straight into the native layout: PLAIN numbers, dictionaries of
//! symbols and texts, uncompressed or LZ4. Everything else goes through the crate `parquet` and Arrow ([`super::chunk`]).

use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, Type as PhysicalType};
use ::parquet::file::metadata::ColumnChunkMetaData;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::column::{keys_of_ids, GroupColumn, Views};
use super::page::{self, Codec, DataPage};
use super::pages::{Header, DATA, DATA_V2, DICTIONARY};
use super::rle;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::types::{self, ColumnType, Storage, TimeUnit, INLINE, NULL_KEY};

/// Parquet's numbers of the encodings.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE_DICTIONARY: i64 = 8;

/// A column chunk that can be decoded here.
pub(super) struct FlatChunk<'a> {
    bytes: &'a [u8],
    pages: &'a [Header],
    codec: Codec,
    optional: bool,
    rows: usize,
    layout: Layout,
}

/// How values are stored and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The first `native` bytes of every `stored` ones, or the type's NULL.
    Fixed {
        stored: usize,
        native: usize,
        null: u64,
    },
    Symbols,
    Texts,
}

impl<'a> FlatChunk<'a> {
    /// `None` for a chunk that is not of the usual kind. `data_type` is what Arrow would make of it.
    pub(super) fn new(
        column_type: ColumnType,
        data_type: &DataType,
        chunk: &ColumnChunkMetaData,
        (bytes, pages): (&'a [u8], &'a [Header]),
        rows: usize,
    ) -> Option<Self> {
        let descriptor = chunk.column_descr();
        if descriptor.max_rep_level() > 0 || descriptor.max_def_level() > 1 {
            return None;
        }
        let layout = layout(column_type, data_type, chunk.column_type())?;
        let codec = match chunk.compression() {
            Compression::UNCOMPRESSED => Codec::None,
            Compression::LZ4_RAW => Codec::Lz4,
            _ => return None,
        };
        let known = |(position, header): (usize, &Header)| match (header.kind, header.encoding) {
            (DICTIONARY, PLAIN | PLAIN_DICTIONARY) => position == 0,
            (DATA | DATA_V2, PLAIN_DICTIONARY | RLE_DICTIONARY) => page::is_known(header),
            (DATA | DATA_V2, PLAIN) => layout != Layout::Symbols && page::is_known(header),
            _ => false,
        };
        if !pages.iter().enumerate().all(known) {
            return None;
        }
        Some(Self { bytes, pages, codec, optional: descriptor.max_def_level() == 1, rows, layout })
    }

    /// Decodes the chunk. `symbols` is the table of a SYMBOL column, `ascending` says that this is the designated timestamp.
    pub(super) fn decode(
        &self,
        symbols: Option<Arc<SymbolTable>>,
        ascending: bool,
        path: &Path,
    ) -> Result<GroupColumn> {
        match self.layout {
            Layout::Fixed { stored, native, null } => {
                let bytes = match (stored, native) {
                    (4, 1) => self.fixed::<4, 1>(null)?,
                    (4, 2) => self.fixed::<4, 2>(null)?,
                    (4, 4) => self.fixed::<4, 4>(null)?,
                    _ => self.fixed::<8, 8>(null)?,
                };
                Ok(GroupColumn::in_memory(bytes, None, ascending, path))
            }
            Layout::Symbols => {
                let table = symbols
                    .ok_or_else(|| Error::invalid_input("symbol column was opened without its table"))?;
                let keys = self.symbols(&table)?;
                Ok(GroupColumn::in_memory(keys, Some(table), false, path))
            }
            Layout::Texts => self.texts().map(GroupColumn::Views),
        }
    }

    /// The data pages, whose rows must be those of the row group.
    fn data_pages(&self) -> impl Iterator<Item = Result<(&Header, DataPage)>> {
        let data = self.pages.iter().filter(|header| header.kind != DICTIONARY);
        data.map(|header| Ok((header, page::data(self.codec, self.bytes, header, self.optional)?)))
    }

    fn check_rows(&self) -> Result<()> {
        let data = self.pages.iter().filter(|header| header.kind != DICTIONARY);
        let found = data.fold(0u64, |sum, header| sum.saturating_add(header.values.unsigned_abs()));
        if found == self.rows as u64 {
            return Ok(());
        }
        Err(Error::corrupt(
            "column chunk has another number of rows than its row group",
            format_args!("{} rows", self.rows),
            format_args!("{found} rows"),
        ))
    }

    /// The dictionary's bytes and number of values.
    fn dictionary(&self) -> Result<Option<(Buffer, usize)>> {
        let Some(header) = self.pages.first().filter(|header| header.kind == DICTIONARY) else {
            return Ok(None);
        };
        let body = self.bytes.get(header.body.clone()).unwrap_or_default();
        let bytes = page::decompress(self.codec, body, header.uncompressed)?;
        Ok(Some((bytes, usize::try_from(header.values).unwrap_or_default())))
    }

    /// `STORED` bytes of each value become `NATIVE`.
    fn fixed<const STORED: usize, const NATIVE: usize>(&self, null: u64) -> Result<Buffer> {
        self.check_rows()?;
        let dictionary = self.dictionary()?;
        let dictionary: &[[u8; STORED]] =
            dictionary.as_ref().map_or(&[][..], |(bytes, _)| bytes.as_chunks().0);
        let (mut native, mut ids) = (Vec::<[u8; NATIVE]>::new(), Vec::new());
        let convert = |value: &[u8; STORED]| value.first_chunk::<NATIVE>().copied().unwrap_or([0; NATIVE]);
        let null = null.to_le_bytes().first_chunk::<NATIVE>().copied().unwrap_or([0; NATIVE]);
        let only = self.pages.len() == 1;
        for page in self.data_pages() {
            let (header, page) = page?;
            if header.encoding == PLAIN {
                let values: &[[u8; STORED]] = page.values.as_chunks().0;
                if let (None, true, true) = (&page.levels, STORED == NATIVE, only) {
                    // Already as a native file has them.
                    let len = page.rows.saturating_mul(NATIVE);
                    let left = page.values.len();
                    return if len <= left {
                        Ok(page.values.slice_with_length(0, len))
                    } else {
                        Err(too_few(page.rows, values.len()))
                    };
                }
                append(&mut native, &page, values.len(), null, |i| values.get(i).map(convert))?;
            } else {
                page_ids(&page, dictionary.len(), &mut ids)?;
                let value = |id: &u32| dictionary.get(*id as usize).map(convert);
                append(&mut native, &page, ids.len(), null, |i| ids.get(i).and_then(value))?;
            }
        }
        Ok(Buffer::from_vec(native.into_flattened()))
    }

    fn symbols(&self, table: &SymbolTable) -> Result<Buffer> {
        self.check_rows()?;
        let dictionary = self.dictionary()?;
        let mut texts = Vec::new();
        if let Some((bytes, values)) = &dictionary {
            byte_arrays(bytes, *values, |_, text| {
                texts.push(utf8(text)?);
                Ok(())
            })?;
        }
        let (mut keys, mut ids) = (Vec::<i32>::with_capacity(self.rows), Vec::new());
        for page in self.data_pages() {
            let (_, page) = page?;
            page_ids(&page, texts.len(), &mut ids)?;
            append(&mut keys, &page, ids.len(), NULL_KEY, |i| ids.get(i).map(|id| *id as i32))?;
        }
        keys_of_ids(ScalarBuffer::from(keys), &texts, table)
    }

    fn texts(&self) -> Result<Views> {
        self.check_rows()?;
        let (mut buffers, mut dictionary) = (Vec::new(), Vec::new());
        if let Some((bytes, values)) = self.dictionary()? {
            dictionary = text_views(&bytes, values, 0)?;
            buffers.push(bytes);
        }
        let (mut views, mut ids) = (Vec::<u128>::with_capacity(self.rows), Vec::new());
        let mut levels: Option<Vec<u32>> = None;
        for page in self.data_pages() {
            let (header, page) = page?;
            if levels.is_some() || page.levels.is_some() {
                let all = levels.get_or_insert_with(|| vec![1; views.len()]);
                match &page.levels {
                    Some(levels) => all.extend_from_slice(levels),
                    None => all.resize(all.len() + page.rows, 1),
                }
            }
            if header.encoding == PLAIN {
                let number = u32::try_from(buffers.len()).unwrap_or(u32::MAX);
                let stored = text_views(&page.values, page.present(), number)?;
                append(&mut views, &page, stored.len(), 0, |i| stored.get(i).copied())?;
                buffers.push(page.values.clone());
            } else {
                page_ids(&page, dictionary.len(), &mut ids)?;
                let view = |id: &u32| dictionary.get(*id as usize).copied();
                append(&mut views, &page, ids.len(), 0, |i| ids.get(i).and_then(view))?;
            }
        }
        let nulls = levels.map(|levels| {
            let is_valid = |row: usize| levels.get(row) == Some(&1);
            NullBuffer::new(BooleanBuffer::collect_bool(levels.len(), is_valid))
        });
        Ok(Views::from_parts(ScalarBuffer::from(views), buffers, nulls))
    }
}

/// How chunks of a type are decoded here; `None` for those that are not, and those of another type than expected.
fn layout(column_type: ColumnType, data_type: &DataType, physical: PhysicalType) -> Option<Layout> {
    use arrow_schema::TimeUnit as Unit;
    let null = match (column_type, data_type) {
        (ColumnType::Byte, DataType::Int8) | (ColumnType::Short, DataType::Int16) => 0,
        (ColumnType::Char, DataType::UInt16) | (ColumnType::Ipv4, DataType::UInt32) => 0,
        (ColumnType::Int, DataType::Int32) => i64::from(i32::MIN),
        (ColumnType::Long, DataType::Int64)
        | (ColumnType::Date, DataType::Timestamp(Unit::Millisecond, _))
        | (ColumnType::Timestamp(TimeUnit::Micros), DataType::Timestamp(Unit::Microsecond, _))
        | (ColumnType::Timestamp(TimeUnit::Nanos), DataType::Timestamp(Unit::Nanosecond, _)) => i64::MIN,
        (ColumnType::Float, DataType::Float32) => i64::from(f32::NAN.to_bits()),
        (ColumnType::Double, DataType::Float64) => f64::NAN.to_bits() as i64,
        (ColumnType::Geohash { bits: ..=7 }, DataType::Int8)
        | (ColumnType::Geohash { bits: 8..=15 }, DataType::Int16)
        | (ColumnType::Geohash { bits: 16..=31 }, DataType::Int32)
        | (ColumnType::Geohash { bits: 32.. }, DataType::Int64) => -1,
        (ColumnType::Symbol, found) if is_text(found) => return Some(Layout::Symbols),
        (ColumnType::Varchar | ColumnType::String, found) if is_text(found) => return Some(Layout::Texts),
        _ => return None,
    };
    let stored = match physical {
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        _ => return None,
    };
    let Some(Storage::Fixed(native)) = column_type.storage() else { return None };
    let fits = matches!((stored, native), (4, 1 | 2 | 4) | (8, 8));
    fits.then_some(Layout::Fixed { stored, native, null: null as u64 })
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => **value == DataType::Utf8,
        _ => false,
    }
}

/// Appends the rows of a page: the values that `value` gives, in order, or `null`.
fn append<T: Copy>(
    out: &mut Vec<T>,
    page: &DataPage,
    stored: usize,
    null: T,
    value: impl Fn(usize) -> Option<T>,
) -> Result<()> {
    let missing = || too_few(page.present(), stored);
    out.reserve(page.rows);
    match &page.levels {
        None if stored < page.rows => return Err(missing()),
        None => out.extend((0..page.rows).map_while(value)),
        Some(levels) => {
            let mut next = 0;
            for level in levels {
                if *level == 1 {
                    out.push(value(next).ok_or_else(missing)?);
                    next += 1;
                } else {
                    out.push(null);
                }
            }
        }
    }
    Ok(())
}

/// The dictionary ids of a page's values, all below `count`.
fn page_ids(page: &DataPage, count: usize, ids: &mut Vec<u32>) -> Result<()> {
    ids.clear();
    let present = page.present();
    let Some((width, runs)) = page.values.split_first() else {
        return if present == 0 { Ok(()) } else { Err(too_few(present, 0)) };
    };
    rle::decode(runs, u32::from(*width), present, ids)?;
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    if ids.iter().fold(false, |any, id| any | (*id >= limit)) {
        let found = ids.iter().max().copied().unwrap_or_default();
        return Err(Error::corrupt(
            "dictionary id is out of range",
            format_args!("less than {count}"),
            found,
        ));
    }
    Ok(())
}

/// Calls `visit` with place and bytes of each of the `count` length-prefixed values in `bytes`.
fn byte_arrays<'b>(
    bytes: &'b [u8],
    count: usize,
    mut visit: impl FnMut(usize, &'b [u8]) -> Result<()>,
) -> Result<()> {
    let mut at = 0usize;
    for found in 0..count {
        let rest = bytes.get(at..).unwrap_or_default();
        let value = rest
            .split_first_chunk::<4>()
            .and_then(|(len, rest)| rest.get(..u32::from_le_bytes(*len) as usize))
            .ok_or_else(|| too_few(count, found))?;
        visit(at + 4, value)?;
        at += 4 + value.len();
    }
    Ok(())
}

/// Views of the `count` texts in `bytes`, which will be buffer `number`.
fn text_views(bytes: &[u8], count: usize, number: u32) -> Result<Vec<u128>> {
    // Each takes four bytes at least, so the number alone is no reason to allocate.
    let mut views = Vec::with_capacity(count.min(bytes.len() / 4));
    byte_arrays(bytes, count, |start, text| {
        utf8(text)?;
        let [low, high] = types::inline(text);
        views.push(if text.len() <= INLINE {
            u128::from(low) | u128::from(high) << 64
        } else {
            let start = u128::from(u32::try_from(start).unwrap_or(u32::MAX));
            u128::from(low) | u128::from(number) << 64 | start << 96
        });
        Ok(())
    })?;
    Ok(views)
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        let start = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).into_owned();
        Error::corrupt("text in a Parquet page is not UTF-8", "UTF-8", format_args!("{start:?}"))
    })
}

fn too_few(expected: usize, found: usize) -> Error {
    Error::corrupt(
        "Parquet page has too few values",
        format_args!("{expected} values"),
        format_args!("{found} values"),
    )
}
