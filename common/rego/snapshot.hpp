// The input of an engine: modules, documents and the terms of their ledgers, by content hash.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/result.hpp"

namespace notp::rego {

// Returns the bytes with this hash. Blocking. kNotFound, kCorrupt, kIo.
using ContentLoader = std::function<Result<std::shared_ptr<const Bytes>>(const Hash&)>;

struct SnapshotModule {
  Hash hash;
  uint8_t rego_version = 1;  // 0 or 1
  // Excluded; its functions that others call exist, undefined for every argument.
  bool withheld = false;
  uint16_t ledger = 0;  // index into Snapshot::ledgers
  bool operator==(const SnapshotModule&) const = default;
};

enum class DocumentFormat : uint8_t { kJson = 0, kYaml = 1 };
// Returns the format for data.json and data.yaml.
inline DocumentFormat document_format_of(std::string_view path) {
  return path.ends_with(".yaml") ? DocumentFormat::kYaml : DocumentFormat::kJson;
}

struct SnapshotDocument {
  std::vector<std::string> mount;  // segments below data
  Hash hash;
  DocumentFormat format = DocumentFormat::kJson;
  uint64_t bytes = 0;
  uint16_t ledger = 0;
  bool operator==(const SnapshotDocument&) const = default;
};

struct SnapshotLedger {
  std::string name;                // "100000000001/payments"
  std::vector<std::string> roots;  // OPA data roots: they assign paths to ledgers
  std::vector<std::string> allow;  // built-ins that are off unless configured: "http.send"
  bool operator==(const SnapshotLedger&) const = default;
};

// Immutable once it is shared. The agent derives from it to add its own data.
struct Snapshot {
  virtual ~Snapshot() = default;

  std::map<std::string, SnapshotModule> modules;      // by a key that names the file for people
  std::map<std::string, SnapshotDocument> documents;  // the same
  std::vector<SnapshotLedger> ledgers;
  std::string system;  // JSON of data.system.notp
  ContentLoader load;  // from any thread
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace notp::rego
