// Decides what follows from the messages of a token stream: which tokens are introspected, what the
// lane gets, when the stream is connected again, and what is asked because messages may be lost.
// Pure: its host runs the effects.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/token_book.hpp"
#include "notp-server/lane_inputs/token_message.hpp"

namespace notp::lane_inputs {

struct StreamTerms {
  IdForm form = IdForm::kToken;
  size_t book_max = 20'000;        // tokens that can be asked about again; more adds are refused
  int64_t sweep_per_second = 100;  // questions of a sweep
};

// A token is to be introspected: resolved() follows.
struct ResolveOrder {
  feed::TokenId id;
  TokenText token;
};

// Such streams deliver at most once: nothing while they are disconnected, and nothing twice. So
// every token that was added is kept in a book, and each is asked about once in kSweepMs, and after
// each connect: those that do not live any more are deleted. Until that is done the stream is late.
// Ids that are hashes cannot be asked about: a stream of them stays late after a lost connection.
// The book is in memory alone. What the lane has of an earlier run of this source cannot be asked
// about either: the stream is late until the last of these tokens has ended.
//
// One thread at a time.
class StreamCore {
 public:
  using State = lane::SourceState::State;

  // `random` outlives it. The first connect is due at once.
  StreamCore(StreamTerms terms, Random& random, Now now);

  // --- the connection

  // Boot time of the next connect; kNever while there is a connection, or one is being made.
  TimeMs connect_due() const { return link_.due_ms; }
  // Whether to connect now: connected() or disconnected() follows.
  bool begin_connect(Now now);
  // It is subscribed: from now on nothing is missed.
  void connected(Now now);
  // Also after a connect that failed.
  void disconnected(Error error, Now now);
  // The peer showed that it is there.
  void heard(Now now) { counts_.last_contact_ms = now.wall_ms; }

  // --- events

  void message(Result<TokenMessage> message, Now now);
  // The end of a ResolveOrder.
  void resolved(const feed::TokenId& id, Result<std::optional<lane::TokenAdded>> result, Now now);
  // The end of what next_take() returned.
  void taken(Result<lane::IntakeOutcome> result, Now now);

  // The end of next_look().
  void looked(Result<lane::LivingPage> page, Now now);

  // --- effects: the caller asks for each until there is none

  // The lane is to be asked what it has of this source above this id: looked() follows at once.
  std::optional<feed::TokenId> next_look(Now now) const;

  // At most kIntrospectionCallsMax are under way.
  std::optional<ResolveOrder> next_resolve(Now now);
  // At most one is under way.
  std::optional<std::vector<lane::IncomingEvent>> next_take(Now now);
  // Boot time at which there may be an effect without an event; kNever.
  TimeMs next_deadline() const;

  // State, counts and message; the rest is the host's.
  lane::SourceState state(Now now) const;
  // Why something was refused or dropped since the last call, for a log; of several the last one.
  std::optional<Error> take_refusal() { return std::exchange(refusal_, std::nullopt); }
  size_t book_size() const { return book_.size(); }

 private:
  // A token whose attributes are to be asked for.
  struct Waiting {
    TokenText token;
    int tries = 0;
    TimeMs due_ms = 0;
  };
  struct Asked {
    TokenText token;  // empty for a sweep: the book has it
    int tries = 0;
    bool is_sweep = false;
    bool is_deleted = false;  // a del came meanwhile
    TimeMs began_ms = 0;
  };
  struct Link {
    TimeMs due_ms = 0;
    int failures = 0;
    bool is_up = false, was_up = false;
    TimeMs since_ms = 0;  // boot time at which it came up, or was last up or started
    std::string error;
  };
  struct Sweep {
    TimeMs due_ms = kNever;  // of the next one, or of the rest of this one
    bool is_running = false;
    TimeMs began_ms = 0;
    std::optional<feed::TokenId> cursor;
    std::set<feed::TokenId> again;  // below the cursor, and to be asked about nevertheless
    size_t asked = 0;               // under way
    bool has_failed = false;
    TimeMs call_due_ms = 0;
    std::string error;  // of the last one
  };
  // Events are numbered as they are queued.
  struct Untaken {
    std::deque<lane::IncomingEvent> events;
    size_t taking = 0;  // from the front
    uint64_t queued = 0, done = 0;
    TimeMs retry_ms = 0;  // boot time
    std::string error;
  };

  // The tokens of the lane that cannot be asked about.
  struct Unasked {
    size_t tokens = 0;
    int64_t until_s = 0;  // Unix time at which the last one ends
  };
  struct Look {
    TimeMs due_ms = 0;
    feed::TokenId cursor;
    int64_t started_s = 0;  // Unix time of this run's begin
    Unasked counting;       // up to the cursor
    std::optional<Unasked> last;
  };

  void add(TokenMessage message, Now now);
  void wait(const feed::TokenId& id, Waiting waiting);
  void remove(const feed::TokenId& id, Now now);
  bool queue(const feed::TokenId& id, bool is_add,
             std::variant<lane::TokenAdded, lane::TokenDeleted> what);
  void refuse_one(Error why);
  void resolved_add(const feed::TokenId& id, Asked asked,
                    Result<std::optional<lane::TokenAdded>> result, Now now);
  void resolved_sweep(const feed::TokenId& id, Result<std::optional<lane::TokenAdded>> result,
                      Now now);
  void keep(const feed::TokenId& id, TokenText token, lane::TokenAdded added, Now now);
  void settle(const lane::IncomingEvent& event, const std::optional<Error>& refused);
  std::optional<ResolveOrder> next_add(Now now);
  std::optional<ResolveOrder> next_of_sweep(Now now);
  const TokenBook::Row* next_to_sweep();
  bool has_to_sweep() const;
  void begin_sweep(Now now);
  void end_sweep(Now now);
  void close_gap();
  bool can_sweep() const { return terms_.form == IdForm::kToken; }

  const StreamTerms terms_;
  Random& random_;
  TokenBook book_;
  std::map<feed::TokenId, Waiting> waiting_;
  std::set<std::pair<TimeMs, feed::TokenId>> waiting_due_;
  std::map<feed::TokenId, Asked> asked_;
  Link link_;
  Sweep sweep_;
  Untaken untaken_;
  // Messages may have been lost, and what that means is not known to the lane yet.
  bool gap_ = false;
  std::optional<uint64_t> gap_ends_;  // with the event of this number
  Look look_;
  std::string resolver_error_;
  std::optional<Error> refusal_;  // the newest one that nobody has seen
  lane::SourceState counts_;
};

}  // namespace notp::lane_inputs
