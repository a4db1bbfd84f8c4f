// The sessions whose peers hold what the registry lacks, and which of them is to be asked next.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/serve/recovery_intake.hpp"

namespace notp::recovery {

// Questions that are open at the same time: bounds the memory of their answers.
inline constexpr size_t kOpenQuestionsMax = 32;
// Of one session about one ledger. The peer answers kHeldRequestsMax.
inline constexpr size_t kQuestionsMax = 48;
// A peer that does not answer in this time may not know the question.
inline constexpr TimeMs kQuestionMs = 10'000;

// One thread at a time; no I/O. Times are boot time.
class Holders {
 public:
  struct Question {
    serve::SessionHandle session;
    model::LedgerId ledger;
    uint64_t above_version = 0;
  };

  // The peer says that it holds more. Asks it about all that is above `above_version`.
  void add(const serve::SessionHandle& session, const model::LedgerId& ledger,
           uint64_t above_version);
  // Asks a session again. False: it was asked often enough, or has ended.
  bool ask_again(uint64_t session, const model::LedgerId& ledger, uint64_t above_version);
  void ended(uint64_t session);

  // The next one that may be asked now, which is open from then on.
  std::optional<Question> next(TimeMs now_ms);
  // Whether this answers an open question; it is closed.
  std::optional<Question> answered(uint64_t session, const model::LedgerId& ledger);
  // Closes the questions without an answer. Returns when the next one is due; kNever.
  TimeMs expire(TimeMs now_ms);

  bool is_asking() const { return open_ > 0 || !waiting_.empty(); }
  // Identities that have been asked, or will be, and have not answered.
  std::set<std::string> unanswered() const;

  const serve::SessionHandle* find(uint64_t session) const;
  // An artifact was asked for, or has come.
  void set_owing(uint64_t session, bool owes);
  bool owes(uint64_t session) const;
  // True the first time: its faults are logged once.
  bool note_fault(uint64_t session);
  // The sessions that were ever asked about the ledger.
  std::vector<uint64_t> asked_about(const model::LedgerId& ledger) const;

 private:
  struct Asked {
    size_t questions = 0;
    bool is_waiting = false;
    std::optional<TimeMs> due_ms;  // of the open question
    uint64_t above_version = 0;    // of it, or of the one that waits
  };
  struct Session {
    serve::SessionHandle handle;
    std::map<model::LedgerId, Asked> ledgers;
    bool owes = false;
    bool has_fault = false;
  };
  bool enqueue(Session& session, const model::LedgerId& ledger, uint64_t above_version);

  std::map<uint64_t, Session> sessions_;  // by number
  std::deque<std::pair<uint64_t, model::LedgerId>> waiting_;
  struct Due {
    uint64_t session = 0;
    model::LedgerId ledger;
    TimeMs due_ms = 0;
  };
  std::deque<Due> due_;  // by time; with those that were answered
  size_t open_ = 0;
};

}  // namespace notp::recovery
