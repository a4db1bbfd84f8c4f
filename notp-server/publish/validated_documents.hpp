// Remembers large data documents that were validated before, so that a change elsewhere in a model
// does not parse them again.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "common/limits.hpp"
#include "protocol/model/validate.hpp"

namespace notp {

// The contents found well-formed at their paths, evicted least recently used first; everything that
// depends on the rest of a model is checked each time. Thread-safe.
class ValidatedDocuments final : public DocumentMemory {
 public:
  explicit ValidatedDocuments(size_t entries_max = limits::kValidatedDocumentsMax)
      : entries_max_(entries_max) {}

  bool knows(std::string_view path, const Hash& content) override;
  void keep(std::string_view path, const Hash& content) override;

 private:
  using Key = std::pair<std::string, Hash>;

  const size_t entries_max_;
  std::mutex mutex_;      // guards what follows
  std::list<Key> order_;  // most recently used first
  std::map<Key, std::list<Key>::iterator> places_;
};

}  // namespace notp
