// Tracks paths that have made a worker end: suspects and quarantine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/rego/host/question.hpp"

namespace notp::rego {

// A question whose work made a worker end.
struct Offence {
  std::string path, ledger, caller;
  std::string reason;  // for a person
};

// Pure. Times are of a monotonic clock. Notices are returned, in order.
class Suspicion {
 public:
  // A worker was stopped because of these. A path becomes a suspect; a suspect is quarantined for
  // its callers. Returns for each offence whether it is quarantined now.
  std::vector<bool> stopped(const std::vector<Offence>& offences, TimeMs now_ms,
                            std::vector<QuarantineNotice>& notices);
  // One of several paths that may have made a worker end.
  void suspect(const std::string& path, TimeMs now_ms);
  bool is_suspect(const std::string& path, TimeMs now_ms);
  // An evaluation of it ended by itself: after kSuspectCleanAnswers of them the path is cleared.
  void answered(const std::string& path);

  enum class Admission : uint8_t { kFree, kProbe, kRefused };
  struct Verdict {
    Admission admission = Admission::kFree;
    int64_t for_ms = 0;  // until the next probe; with kRefused
    std::string reason;  // with kRefused
  };
  // Returns the verdict for a new question. A probing one is the only one of its path and caller
  // until probe_ended().
  Verdict admit(const std::string& path, const std::string& caller, TimeMs now_ms);
  // `passed`: it ended by itself, which ends the quarantine. Else the probe was inconclusive
  // (cancelled); for a probe that made a worker end, stopped() is called instead.
  void probe_ended(const std::string& path, const std::string& caller, bool passed,
                   std::vector<QuarantineNotice>& notices);
  // The policies or data of that ledger have changed: its quarantines end.
  void release_changed(const std::string& ledger, std::vector<QuarantineNotice>& notices);

  size_t suspects() const { return suspects_.size(); }
  size_t quarantined() const { return quarantines_.size(); }

 private:
  struct Suspect {
    TimeMs until_ms = 0;
    uint32_t clean_answers = 0;
  };
  using Key = std::pair<std::string, std::string>;  // path, "=caller"; "": all callers
  struct Quarantine {
    std::string ledger, reason;
    TimeMs until_ms = 0;
    int64_t for_ms = 0;
    bool probing = false;
  };
  using Quarantines = std::map<Key, Quarantine>;

  void quarantine(const Key& key, const Offence& offence, TimeMs now_ms,
                  std::vector<QuarantineNotice>& notices);
  size_t callers_of(const std::string& path) const;
  Quarantines::iterator find(const std::string& path, const std::string& caller);
  Quarantines::iterator end(Quarantines::iterator ended, std::vector<QuarantineNotice>& notices);
  void make_room(std::vector<QuarantineNotice>& notices);

  std::map<std::string, Suspect> suspects_;
  Quarantines quarantines_;
};

}  // namespace notp::rego
