// The control of the suite "audit": DuckDB over Parquet, driven by duckdb_control.py.
#pragma once

#include "tools/bench/audit_suite.hpp"
#include "tools/bench/recorded_fleet.hpp"

namespace notp::bench {

// The version of the module `duckdb` of this Python; kNotFound says why there is none.
Result<std::string> duckdb_version(const std::string& python);

// Reads the export, writes Parquet into `folder` and asks. `export_per_s` is left to the caller.
// kInternal: the script failed, or found something else than the fleet was given.
Result<DuckdbFigures> run_duckdb(const std::string& python, const std::filesystem::path& folder,
                                 const std::filesystem::path& exported, const RecordedFleet& fleet);

}  // namespace notp::bench
