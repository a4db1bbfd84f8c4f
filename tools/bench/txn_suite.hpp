// The suite "txn": how fast a Transaction Token Service issues, beside signatures alone and
// Keycloak's standard token exchange.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/http_load.hpp"
#include "tools/bench/report.hpp"

namespace notp::bench {

struct TxnOptions {
  std::filesystem::path programs;
  std::filesystem::path keycloak;  // its folder; empty: without this control
  std::vector<size_t> connections = {8, 32};
  double seconds = 10;  // for each row
  std::function<void(const std::string&)> progress;
};
inline constexpr size_t kTxnConnectionsMax = 200;
inline constexpr double kTxnSecondsMax = 600;

struct TxnRow {
  std::string name;
  size_t connections = 0;
  LoadFigures load;
  double cpu_s = 0;           // of the service with all its processes
  double registry_cpu_s = 0;  // meanwhile; of Keycloak's none
  uint64_t verified = 0;      // tokens whose signature and claims were checked

  double rate() const;
  double cpu_us_each() const;
  double per_core() const;  // issues per second of the processor
};

// Of one core, alone.
struct SignSpeed {
  double signs = 0, verifies = 0;  // P-256, a second
};

struct TxnResult {
  std::vector<TxnRow> issues;    // of the service
  size_t connection_rows = 0;    // the first ones: one for each number of connections
  std::vector<TxnRow> controls;  // of Keycloak
  std::string keycloak;          // its version; empty: it was not measured
  SignSpeed openssl;
  size_t rules = 0, request_bytes = 0;
  double seconds = 0;
};

Result<TxnResult> run_txn(const TxnOptions& options);
std::string txn_table(const TxnResult& result);
json::object txn_json(const TxnResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
