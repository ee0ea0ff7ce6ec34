//! The steps of an export and how each of them stands, in the server's words.

/// A step of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In the queue.
    WaitToRun,
    /// A table's rows become files.
    ConvertingPartitions,
    /// A query's rows become files.
    StreamSendingData,
    /// Files get their names in an object store.
    SendingData,
    /// Files get their names in a local directory.
    MoveFiles,
    /// All done.
    Success,
}

impl Phase {
    /// The server's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::WaitToRun => "wait_to_run",
            Self::ConvertingPartitions => "converting_partitions",
            Self::StreamSendingData => "stream_sending_data",
            Self::SendingData => "sending_data",
            Self::MoveFiles => "move_files",
            Self::Success => "success",
        }
    }
}

/// How a step, or the whole export, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Begun.
    Started,
    /// Done.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended by somebody.
    Cancelled,
}

impl Status {
    /// The server's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
