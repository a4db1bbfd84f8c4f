// From a composition to an engine, with the parts that did not change since the last one.
#pragma once

#include <unordered_map>

#include "common/rego/engine.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// One thread at a time.
class EmbeddedCompiler {
 public:
  explicit EmbeddedCompiler(rego::Limits limits) : limits_(limits) {}

  // Nothing of a denied ledger is in it (denied.hpp). kPdpRejected: the engine refuses it, with its
  // findings. Errors of `load` pass through.
  Result<std::shared_ptr<const rego::Policy>> compile(const Composition& composition,
                                                      const BlobLoader& load);

  // A policy of the same releases with other standings, none of them newly denied or served again:
  // loads and compiles nothing.
  Result<std::shared_ptr<const rego::Policy>> retell(const rego::Policy& policy,
                                                     const Composition& composition) const;

 private:
  using Documents = std::map<std::pair<std::string, Hash>, std::shared_ptr<const rego::Document>>;
  struct Parts {
    BlobMap texts;        // policies
    Documents documents;  // by data path and blob hash
  };

  Result<void> gather(const LedgerId& ledger, const ComposedRelease& release,
                      const BlobLoader& load, Parts& parts, std::vector<rego::SourceFile>& sources,
                      std::vector<std::shared_ptr<const rego::Document>>& documents);
  Result<Content> text_of(const Hash& hash, const BlobLoader& load, Parts& parts);
  Result<std::shared_ptr<const rego::Document>> document(const std::string& path,
                                                         const FileEntry& file,
                                                         const BlobLoader& load, Parts& parts);

  const rego::Limits limits_;
  Parts parts_;  // of the latest composition
};

}  // namespace notp
