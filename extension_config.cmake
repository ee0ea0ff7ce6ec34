# For builds of DuckDB from source that take this extension in; `make` does not read it.
duckdb_extension_load(questdb
    SOURCE_DIR ${CMAKE_CURRENT_LIST_DIR}
    LOAD_TESTS
)
