// manifest.json (schemas/manifest.schema.json).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/model/decision_terms.hpp"
#include "protocol/model/gate_terms.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::model {

inline constexpr std::string_view kManifestPath = "manifest.json";
// The root of data.system.log.mask and drop: what a node's records of decisions leave out.
inline constexpr std::string_view kLogRulesRoot = "system/log";

struct Manifest {
  std::string name, description, author, license;
  std::map<std::string, std::string> runtimes;    // name -> language version
  std::map<std::string, std::string> partitions;  // path ("/" always) -> runtime name
  std::vector<std::string> data_roots;            // OPA's, sorted, none inside another
  std::vector<LedgerUse> uses;                    // sorted by ledger, each once
  DecisionTerms decisions;                        // empty: none
  std::optional<GateTerms> gate;                  // nullopt: nodes take a release at once

  // Returns the version of Rego that a file is written in, 0 or 1: that of its nearest partition's
  // runtime.
  uint8_t rego_version_of(std::string_view path) const;

  // kInvalidModel with every violation of the schema, one for each line.
  static Result<Manifest> parse(ByteView json);
};

// Whether one of `roots` contains the data path "a/b/c". An OPA root contains itself and the paths
// below.
bool roots_contain(const std::vector<std::string>& roots, std::string_view data_path);
// Returns the first pair of roots that overlap, as "a and b"; empty when the two sets are disjoint.
std::string roots_overlap(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace notp::model
