// Where decisions are recorded, as those who decide see it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/result.hpp"
#include "protocol/record/record.hpp"

namespace notp::spool {

// How long an answer waits for its record.
enum class Durability : uint8_t {
  kBatched,  // for the write: survives the end of the process; a power cut may cost the last 100 ms
  kStrict,   // for the disk: survives a power cut
};

// What is decided with. Compared by pointer: equal sets share one object.
using ActiveSetPtr = std::shared_ptr<const record::ActiveSet>;

struct Entry {
  int64_t time_ns = 0;
  record::Content content;  // a DecisionContent, or a Gap
  ActiveSetPtr
      active;  // null: unknown; its ACTIVE record is written before the first that needs it
  Durability durability = Durability::kBatched;
};

struct Written {
  record::Position position = 0;
  std::string decision_id;  // the address
};

// Thread-safe. A call blocks for a write into the page cache, never for the disk.
class DecisionLog {
 public:
  virtual ~DecisionLog() = default;

  // Writes the record. After it returns, the end of the process loses nothing.
  // kAuditUnavailable: there is no room, or the disk fails, and the configuration says that such a
  // decision is refused. nullopt: it says that it is given unrecorded; the log counts it, and a gap
  // record will say how many.
  virtual Result<std::optional<Written>> append(Entry entry) = 0;

  // Calls `done` once the record at `position` is durable, or cannot be: kAuditUnavailable. From
  // another thread, or from within the call.
  virtual void when_durable(record::Position position, std::function<void(Result<void>)> done) = 0;

  // Counts a decision that is left out on purpose: at most one record for each second and (path,
  // outcome, rule).
  virtual void drop(std::string path, record::Outcome outcome, std::string rule) = 0;
};

}  // namespace notp::spool
