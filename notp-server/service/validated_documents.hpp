// Large data documents that were validated before, so that a change elsewhere in a model does not
// parse them again.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "common/limits.hpp"
#include "protocol/model/validate.hpp"

namespace notp {

// A byte budget of documents, the least recently used leaving first. What is in here was found
// well-formed at its path; everything that depends on the rest of its model is checked each time.
// Thread-safe.
class ValidatedDocuments final : public DocumentMemory {
 public:
  // Of the documents' text; parsed they take some five times of it.
  explicit ValidatedDocuments(uint64_t budget_bytes = limits::kValidatedDocumentBytes)
      : budget_bytes_(budget_bytes) {}

  std::shared_ptr<const rego::Document> find(std::string_view path, const Hash& content) override;
  void keep(std::string_view path, const Hash& content, uint64_t bytes,
            std::shared_ptr<const rego::Document> document) override;

 private:
  struct Kept {
    std::string path;
    Hash content;
    uint64_t bytes;
    std::shared_ptr<const rego::Document> document;
  };
  std::list<Kept>::iterator place_of(std::string_view path, const Hash& content);

  const uint64_t budget_bytes_;
  std::mutex mutex_;
  std::list<Kept> kept_;  // guarded by mutex_; most recently used first
  uint64_t bytes_ = 0;    // the same; of all of them
};

}  // namespace notp
