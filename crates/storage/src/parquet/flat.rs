//! Decodes the column chunks that a server or `questdb_export` writes by default straight into the native layout: PLAIN numbers,
//! dictionaries of symbols and texts, texts behind their lengths; uncompressed or LZ4. Everything else goes through the crate `parquet` and Arrow ([`super::chunk`]).
//!
//! A chunk is decoded in spans of some pages, when their rows are asked for: pages without such rows are not even decompressed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, Type as PhysicalType};
use ::parquet::file::metadata::ColumnChunkMetaData;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::column::GroupColumn;
use super::delta::delta_length_views;
use super::page::{self, Codec, DataPage};
use super::pages::{Header, DATA, DATA_V2, DICTIONARY};
use super::pool::Pool;
use super::stored::Stored;
use super::symbols::SymbolKeys;
use super::values::{dictionary_ids, spread, symbol_texts, text_views, too_few};
use super::views::Views;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::source::Source;
use crate::types::{ColumnSource, ColumnType, Storage, TimeUnit, NULL_KEY};

/// Parquet's numbers of the encodings.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const DELTA_LENGTH: i64 = 6;
const RLE_DICTIONARY: i64 = 8;

/// A page of more rows is left to the crate `parquet`, which decodes it in blocks where that is asked for: some bytes of run
/// lengths can stand for any number of rows, and a span lies in memory as a whole.
const LARGEST_PAGE: u64 = 1 << 22;

/// Pages are taken together until they have so many rows.
const SPAN_ROWS: u64 = 8192;

/// A column chunk that is decoded here.
#[derive(Debug)]
pub(crate) struct FlatChunk {
    chunk: Stored,
    codec: Codec,
    optional: bool,
    layout: Layout,
    dictionary: Dictionary,
    spans: Vec<Span>,
}

/// Pages that are decoded together.
#[derive(Debug)]
struct Span {
    /// Rows, counted from the start of the row group.
    rows: Range<u64>,
    pages: Vec<Header>,
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

/// The dictionary page, decoded.
#[derive(Debug)]
enum Dictionary {
    None,
    Fixed(Buffer),
    Symbols(Arc<SymbolTable>, SymbolKeys),
    /// Views into the buffer, which is the first one of each span.
    Texts(Vec<u128>, Buffer),
}

/// What of a chunk was decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) column: GroupColumn,
    /// Memory that the column lies in: it can be used again when the column is gone.
    pub(crate) memory: Vec<Buffer>,
}

impl FlatChunk {
    /// Opens a chunk: decodes its dictionary. `None` for one that is not of the usual kind. `data_type` is what Arrow
    /// would make of it, `symbols` the table of a SYMBOL column, if there is one.
    pub(crate) fn open(
        column_type: ColumnType,
        data_type: &DataType,
        chunk: &ColumnChunkMetaData,
        (stored, pages): (&Stored, Vec<Header>),
        rows: u64,
        symbols: Option<Arc<SymbolTable>>,
    ) -> Result<Option<Self>> {
        let descriptor = chunk.column_descr();
        if descriptor.max_rep_level() > 0 || descriptor.max_def_level() > 1 {
            return Ok(None);
        }
        let Some(layout) = layout(column_type, data_type, chunk.column_type()) else { return Ok(None) };
        let codec = match chunk.compression() {
            Compression::UNCOMPRESSED => Codec::None,
            Compression::LZ4_RAW => Codec::Lz4,
            _ => return Ok(None),
        };
        let is_small = |header: &Header| header.values.unsigned_abs() <= LARGEST_PAGE;
        if !pages.iter().all(is_small) {
            return Ok(None);
        }
        let known = |(position, header): (usize, &Header)| match (header.kind, header.encoding) {
            (DICTIONARY, PLAIN | PLAIN_DICTIONARY) => position == 0,
            (DATA | DATA_V2, PLAIN_DICTIONARY | RLE_DICTIONARY) => page::is_known(header),
            (DATA | DATA_V2, PLAIN) => layout != Layout::Symbols && page::is_known(header),
            (DATA | DATA_V2, DELTA_LENGTH) => layout == Layout::Texts && page::is_known(header),
            _ => false,
        };
        if !pages.iter().enumerate().all(known) {
            return Ok(None);
        }
        let dictionary = dictionary(layout, codec, stored, pages.first(), symbols)?;
        let optional = descriptor.max_def_level() == 1;
        let spans = spans(pages, rows)?;
        Ok(Some(Self { chunk: stored.clone(), codec, optional, layout, dictionary, spans }))
    }

    /// The position of the span that has row `row` of the row group, and its rows.
    pub(crate) fn span_of(&self, row: u64) -> Option<(usize, Range<u64>)> {
        let position = self.spans.partition_point(|span| span.rows.end <= row);
        self.spans.get(position).map(|span| (position, span.rows.clone()))
    }

    /// Decodes the span at `position`. `ascending` says that this is the designated timestamp.
    pub(crate) fn decode(
        &self,
        position: usize,
        ascending: bool,
        path: &Path,
        pool: &mut Pool,
    ) -> Result<Decoded> {
        let span = self.spans.get(position);
        let span =
            span.ok_or_else(|| Error::invalid_input(format!("column chunk has no span {position}")))?;
        let (values, symbols) = match self.layout {
            Layout::Fixed { stored, native, null } => {
                if let Some(data) = self.as_stored(span, stored, native)? {
                    let column = ColumnSource { data, aux: None, symbols: None, ascending };
                    return Ok(Decoded { column: GroupColumn::Native(column), memory: Vec::new() });
                }
                let values = match (stored, native) {
                    (4, 1) => self.fixed::<4, 1>(span, null, pool)?,
                    (4, 2) => self.fixed::<4, 2>(span, null, pool)?,
                    (4, 4) => self.fixed::<4, 4>(span, null, pool)?,
                    _ => self.fixed::<8, 8>(span, null, pool)?,
                };
                (values, None)
            }
            Layout::Symbols => self.symbols(span, pool)?,
            Layout::Texts => return self.texts(span, pool),
        };
        let column = GroupColumn::in_memory(values.values, symbols, ascending, path);
        Ok(Decoded { column, memory: vec![values.memory] })
    }

    fn data_page(&self, header: &Header, pool: &mut Pool) -> Result<DataPage> {
        page::data(self.codec, &self.chunk, header, self.optional, pool)
    }

    /// The values of a span that are in the file as a native column file has them, so that nothing needs to be decoded.
    fn as_stored(&self, span: &Span, stored: usize, native: usize) -> Result<Option<Arc<dyn Source>>> {
        let [header] = span.pages.as_slice() else { return Ok(None) };
        if stored != native || header.encoding != PLAIN || self.chunk.is_in_memory() {
            return Ok(None);
        }
        let Some(start) = page::plain_values(self.codec, &self.chunk, header, self.optional)? else {
            return Ok(None);
        };
        let len = span.len().saturating_mul(native);
        let left = header.body.end.saturating_sub(start);
        if len > left {
            return Err(too_few(span.len(), left / native));
        }
        self.chunk.part(start, len).map(Some)
    }

    /// `STORED` bytes of each value become `NATIVE`.
    fn fixed<const STORED: usize, const NATIVE: usize>(
        &self,
        span: &Span,
        null: u64,
        pool: &mut Pool,
    ) -> Result<Native> {
        let dictionary: &[[u8; STORED]] = match &self.dictionary {
            Dictionary::Fixed(bytes) => bytes.as_chunks().0,
            _ => &[],
        };
        let convert = |value: &[u8; STORED]| value.first_chunk::<NATIVE>().copied().unwrap_or([0; NATIVE]);
        let null = null.to_le_bytes().first_chunk::<NATIVE>().copied().unwrap_or([0; NATIVE]);
        let mut native: Option<Vec<u8>> = None;
        let mut done = 0;
        for header in &span.pages {
            let page = self.data_page(header, pool)?;
            let values: &[[u8; STORED]] = page.values().as_chunks().0;
            let plain = header.encoding == PLAIN;
            if plain && values.len() < page.present() {
                return Err(too_few(page.present(), values.len()));
            }
            if plain && STORED == NATIVE && page.levels.is_none() && span.pages.len() == 1 {
                // Already as a native file has them.
                let values = page.values_buffer(page.rows.saturating_mul(NATIVE));
                let values = values.ok_or_else(|| too_few(page.rows, 0))?;
                return Ok(Native { values, memory: page.memory });
            }
            let native = native.get_or_insert_with(|| pool.bytes(span.len().saturating_mul(NATIVE)));
            let (slots, _) = native.as_chunks_mut::<NATIVE>();
            let slots = slots.get_mut(done..done + page.rows).unwrap_or_default();
            if plain {
                spread(slots, page.levels.as_deref(), null, values.iter().map(convert));
            } else {
                let mut ids = pool.words(page.present());
                dictionary_ids(&page, dictionary.len(), &mut ids)?;
                let value = |id: &u32| dictionary.get(*id as usize).map_or(null, convert);
                spread(slots, page.levels.as_deref(), null, ids.iter().map(value));
                pool.put_words(ids);
            }
            done += page.rows;
            page.put_back(pool);
        }
        let values = Buffer::from_vec(native.unwrap_or_default());
        Ok(Native { memory: values.clone(), values })
    }

    fn symbols(&self, span: &Span, pool: &mut Pool) -> Result<(Native, Option<Arc<SymbolTable>>)> {
        let Dictionary::Symbols(table, map) = &self.dictionary else {
            return Err(Error::invalid_input("symbol column was opened without its table"));
        };
        let mut keys = pool.words(span.len());
        for header in &span.pages {
            let page = self.data_page(header, pool)?;
            let start = keys.len();
            match page.levels.as_deref() {
                None => {
                    dictionary_ids(&page, map.len(), &mut keys)?;
                    map.apply(keys.get_mut(start..).unwrap_or_default())?;
                }
                levels => {
                    let mut ids = pool.words(page.present());
                    dictionary_ids(&page, map.len(), &mut ids)?;
                    map.apply(&mut ids)?;
                    keys.resize(start + page.rows, 0);
                    let slots = keys.get_mut(start..).unwrap_or_default();
                    spread(slots, levels, NULL_KEY as u32, ids.iter().copied());
                    pool.put_words(ids);
                }
            }
            page.put_back(pool);
        }
        let values = Buffer::from_vec(keys);
        Ok((Native { memory: values.clone(), values }, Some(Arc::clone(table))))
    }

    fn texts(&self, span: &Span, pool: &mut Pool) -> Result<Decoded> {
        let (mut buffers, mut dictionary, mut memory) = (Vec::new(), [].as_slice(), Vec::new());
        if let Dictionary::Texts(views, bytes) = &self.dictionary {
            dictionary = views.as_slice();
            buffers.push(bytes.clone());
        }
        let mut views = pool.views(span.len());
        let mut valid: Option<BooleanBufferBuilder> = None;
        for header in &span.pages {
            let page = self.data_page(header, pool)?;
            let start = views.len();
            if valid.is_some() || page.levels.is_some() {
                let valid = valid.get_or_insert_with(|| {
                    let mut valid = BooleanBufferBuilder::new(span.len());
                    valid.append_n(start, true);
                    valid
                });
                match &page.levels {
                    Some(levels) => {
                        let is_valid = |row: usize| levels.get(row) == Some(&1);
                        valid.append_buffer(&BooleanBuffer::collect_bool(levels.len(), is_valid));
                    }
                    None => valid.append_n(page.rows, true),
                }
            }
            if matches!(header.encoding, PLAIN | DELTA_LENGTH) {
                let number = u32::try_from(buffers.len()).unwrap_or(u32::MAX);
                match page.levels.as_deref() {
                    levels if header.encoding == DELTA_LENGTH => {
                        let count = page.present();
                        let mut lengths = pool.words(count);
                        let count = (count, levels);
                        delta_length_views(page.values(), count, number, &mut lengths, &mut views)?;
                        pool.put_words(lengths);
                    }
                    None => text_views(page.values(), page.rows, number, &mut views)?,
                    levels => {
                        let mut stored = pool.views(page.present());
                        text_views(page.values(), page.present(), number, &mut stored)?;
                        views.resize(start + page.rows, 0);
                        let slots = views.get_mut(start..).unwrap_or_default();
                        spread(slots, levels, 0, stored.iter().copied());
                        pool.put_views(stored);
                    }
                }
                buffers.extend(page.values_buffer(page.values().len()));
                if let Some(levels) = page.levels {
                    pool.put_words(levels);
                }
                memory.push(page.memory);
            } else {
                let mut ids = pool.words(page.present());
                dictionary_ids(&page, dictionary.len(), &mut ids)?;
                views.resize(start + page.rows, 0);
                let slots = views.get_mut(start..).unwrap_or_default();
                let view = |id: &u32| dictionary.get(*id as usize).copied().unwrap_or_default();
                spread(slots, page.levels.as_deref(), 0, ids.iter().map(view));
                pool.put_words(ids);
                page.put_back(pool);
            }
        }
        let views = ScalarBuffer::from(views);
        memory.push(views.inner().clone());
        let nulls = valid.map(|mut valid| NullBuffer::new(valid.finish()));
        let in_order = span.pages.iter().all(|page| matches!(page.encoding, PLAIN | DELTA_LENGTH));
        Ok(Decoded { column: GroupColumn::Views(Views::from_parts(views, buffers, nulls, in_order)), memory })
    }
}

/// Values as in a native file, and the memory that they are in.
struct Native {
    values: Buffer,
    memory: Buffer,
}

impl Span {
    fn len(&self) -> usize {
        usize::try_from(self.rows.end.saturating_sub(self.rows.start)).unwrap_or(usize::MAX)
    }
}

/// Takes the data pages together, whose rows must be those of the row group.
fn spans(pages: Vec<Header>, rows: u64) -> Result<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let mut row = 0u64;
    for page in pages.into_iter().filter(|page| page.kind != DICTIONARY) {
        let end = row.saturating_add(page.values.unsigned_abs());
        match spans.last_mut().filter(|span| span.rows.end - span.rows.start < SPAN_ROWS) {
            Some(span) => {
                span.rows.end = end;
                span.pages.push(page);
            }
            None => spans.push(Span { rows: row..end, pages: vec![page] }),
        }
        row = end;
    }
    if row == rows {
        return Ok(spans);
    }
    Err(Error::corrupt(
        "column chunk has another number of rows than its row group",
        format_args!("{rows} rows"),
        format_args!("{row} rows"),
    ))
}

/// Decodes the dictionary page, if `first` is one.
fn dictionary(
    layout: Layout,
    codec: Codec,
    chunk: &Stored,
    first: Option<&Header>,
    symbols: Option<Arc<SymbolTable>>,
) -> Result<Dictionary> {
    let page = first.filter(|header| header.kind == DICTIONARY);
    let values = page.map_or(0, |header| usize::try_from(header.values).unwrap_or_default());
    let bytes = match page {
        // It stays as long as the chunk, so its memory comes from no pool.
        Some(header) => Some(page::read(codec, chunk, header, &mut Pool::default())?),
        None => None,
    };
    Ok(match (layout, bytes) {
        (Layout::Symbols, bytes) => {
            let texts = symbol_texts(bytes.as_deref().unwrap_or_default(), values)?;
            // Without a table around the file, the dictionary is the table.
            let table = symbols.unwrap_or_else(|| Arc::new(SymbolTable::from_values(texts.iter().copied())));
            let keys = SymbolKeys::new(&texts, &table);
            Dictionary::Symbols(table, keys)
        }
        (Layout::Fixed { .. }, Some(bytes)) => Dictionary::Fixed(bytes),
        (Layout::Texts, Some(bytes)) => {
            let mut views = Vec::new();
            text_views(&bytes, values, 0, &mut views)?;
            Dictionary::Texts(views, bytes)
        }
        (_, None) => Dictionary::None,
    })
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
