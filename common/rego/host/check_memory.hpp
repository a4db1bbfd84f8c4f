// Remembers results of earlier validations, so that the next one costs only what is new in it.
#pragma once

#include <cstdint>
#include <list>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.hpp"
#include "common/rego/host/check_messages.hpp"

namespace notp::rego {

// Bounded by kCheckFactsBytes, kCheckGoodBytes and kCheckGoodReports; the least recently useful
// entry is dropped. Thread-safe.
class CheckMemory {
 public:
  // Returns the known facts of these modules, and the good results of similar models.
  CheckKnowledge recall(const CheckRequest& request);
  // `recalled`: the knowledge with which the report was made.
  void learn(const CheckRequest& request, const CheckKnowledge& recalled,
             const CheckKnowledge& learnt);

 private:
  struct Facts {
    std::string key, json;
    size_t bytes() const { return 2 * key.size() + json.size(); }
  };
  // The results that were good when these were validated.
  struct Good {
    std::set<std::string> modules;  // keys of facts
    std::set<std::string> fingerprints;
    size_t bytes = 0;
  };

  void keep_facts(const std::string& key, const std::string& json) NOTP_REQUIRES(mutex_);
  static std::set<std::string> keys_of(const CheckRequest& request);

  Mutex mutex_;
  // Both lists have the most recently used entry first.
  std::list<Facts> facts_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::list<Facts>::iterator> facts_by_key_ NOTP_GUARDED_BY(mutex_);
  size_t facts_bytes_ NOTP_GUARDED_BY(mutex_) = 0;
  std::list<Good> good_ NOTP_GUARDED_BY(mutex_);
  size_t good_bytes_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::rego
