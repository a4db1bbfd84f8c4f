// Remembers large data documents that were validated before, so that a change elsewhere in a model
// does not parse them again.
#pragma once

#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "protocol/model/validate.hpp"

namespace notp::publish {

// The contents found well-formed at their paths, evicted least recently used first; everything that
// depends on the rest of a model is checked each time. Thread-safe.
class ValidatedDocuments final : public model::DocumentMemory {
 public:
  explicit ValidatedDocuments(size_t entries_max = limits::kValidatedDocumentsMax)
      : entries_max_(entries_max) {}

  bool knows(std::string_view path, const Hash& content) override;
  void keep(std::string_view path, const Hash& content) override;

 private:
  using Key = std::pair<std::string, Hash>;

  const size_t entries_max_;
  Mutex mutex_;
  std::list<Key> order_ NOTP_GUARDED_BY(mutex_);  // most recently used first
  std::map<Key, std::list<Key>::iterator> places_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::publish
