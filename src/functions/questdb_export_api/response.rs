//! The body of a response.

use duckdb_neo::error::{DuckDBError, Error};
use serde_json::{json, Value};

use crate::jobs::{Job, Outcome};

/// The response to an export that has ended well.
pub fn success(job: &Job) -> String {
    let view = job.view();
    let result = match &view.outcome {
        Some(Outcome::Finished(result)) => json!({
            "average_uncompressed_row_group_size": result.average_row_group_bytes,
            "files": result.files,
            "mode": job.description().mode.unwrap_or(result.mode()),
            "num_row_groups": result.row_groups,
            "output_prefix": result.prefix,
            "total_row_count": result.rows,
            "total_uncompressed_byte_size": result.uncompressed,
        }),
        _ => Value::Null,
    };
    let metrics = job.description().include_metrics.then(|| {
        json!({
            "elapsed_time": view.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            "rss_peak_bytes": job.counters().rss_peak(),
        })
    });
    json!({
        "code": 200,
        "data": {"export_result": result, "metrics": metrics},
        "exception": null,
        "success": true,
    })
    .to_string()
}

/// The response to a request that cannot be fulfilled.
pub fn failure(error: &Error) -> String {
    let code = match error.code {
        DuckDBError::ConfigurationPermission => 403,
        DuckDBError::DatabaseTransaction => 409,
        DuckDBError::QueryBinder
        | DuckDBError::QueryParser
        | DuckDBError::QueryNotImplemented
        | DuckDBError::DatabaseCatalog
        | DuckDBError::InputInvalid => 400,
        _ => 500,
    };
    json!({"code": code, "data": null, "exception": error.message, "success": false}).to_string()
}
