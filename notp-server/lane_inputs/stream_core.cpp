#include "notp-server/lane_inputs/stream_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/jose/token.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kSecondMs = 1'000;
constexpr TimeMs kResolveRetryMs = 1'000;  // doubled for each try

TimeMs doubled(TimeMs first_ms, int times, TimeMs most_ms) {
  TimeMs out = first_ms;
  for (int i = 0; i < times && out < most_ms; ++i) out *= 2;
  return std::min(out, most_ms);
}

int64_t exp_of(const lane::TokenAdded& added) {
  const json::value* exp = added.attributes.if_contains("exp");
  const auto time = exp == nullptr ? Result<TimeMs>(0) : jose::numeric_date_ms(*exp);
  return time.value_or(0) / kSecondMs;
}

Error dropped(std::string_view what) {
  return {ErrorCode::kOverloaded,
          fmt::format("the lane takes events more slowly than they come: {} was dropped", what),
          {}};
}

// Another try may have another outcome.
bool is_passing(const Error& error) {
  return rule_of(error).empty() && error.code != ErrorCode::kUsage;
}

}  // namespace

StreamCore::StreamCore(StreamTerms terms, Random& random, Now now)
    : terms_(terms),
      random_(random),
      book_(std::min(terms.book_max, kTokenBookMax), kTokenBookBytesMax) {
  link_.due_ms = link_.since_ms = now.boot_ms;
  look_.due_ms = now.boot_ms;
  look_.started_s = now.wall_ms / kSecondMs;
}

// --- what was before

std::optional<feed::TokenId> StreamCore::next_look(Now now) const {
  return now.boot_ms < look_.due_ms ? std::nullopt : std::optional(look_.cursor);
}

void StreamCore::looked(Result<lane::LivingPage> page, Now now) {
  const auto restart = [&](TimeMs due_ms) {
    look_.cursor = {};
    look_.counting = {};
    look_.due_ms = due_ms;
  };
  if (!page) return restart(now.boot_ms + kTakeRetryMs);
  for (const lane::LivingToken& token : page->tokens) {
    const bool is_known = can_sweep() ? book_.contains(token.id) : token.taken_s > look_.started_s;
    if (is_known || token.exp_s <= now.wall_ms / kSecondMs) continue;
    ++look_.counting.tokens;
    look_.counting.until_s = std::max(look_.counting.until_s, token.exp_s);
  }
  look_.due_ms = now.boot_ms;
  if (page->next) {
    look_.cursor = *page->next;
    return;
  }
  look_.last = look_.counting;
  // Some may be deleted, or be sent again, before they end.
  restart(look_.last->tokens == 0 ? kNever : now.boot_ms + kSweepMs);
}

// --- the connection

bool StreamCore::begin_connect(Now now) {
  if (link_.due_ms > now.boot_ms) return false;
  link_.due_ms = kNever;
  return true;
}

void StreamCore::connected(Now now) {
  heard(now);
  const bool is_again = link_.was_up;
  link_.is_up = link_.was_up = true;
  link_.due_ms = kNever;
  link_.since_ms = now.boot_ms;
  link_.error.clear();
  gap_ends_.reset();
  gap_ = can_sweep() || is_again;
  if (!can_sweep()) return;
  // One that runs may have passed what was deleted since.
  sweep_.is_running = false;
  sweep_.due_ms = now.boot_ms;
}

void StreamCore::disconnected(Error error, Now now) {
  if (link_.is_up && now.boot_ms - link_.since_ms >= kReconnectMsMax) link_.failures = 0;
  if (link_.is_up) link_.since_ms = now.boot_ms;
  link_.is_up = false;
  link_.error = std::move(error.message);
  const TimeMs wait_ms = doubled(kReconnectMs, link_.failures++, kReconnectMsMax);
  const TimeMs half_ms = wait_ms / 2;
  link_.due_ms = now.boot_ms + half_ms + static_cast<TimeMs>(random_.below(half_ms + 1));
}

// --- messages

void StreamCore::message(Result<TokenMessage> message, Now now) {
  heard(now);
  counts_.last_event_ms = now.wall_ms;
  if (!message) return refuse_one(std::move(message).error());
  if (message->operation == TokenOperation::kDelete) return remove(message->id, now);
  add(*std::move(message), now);
}

void StreamCore::add(TokenMessage message, Now now) {
  if (terms_.form == IdForm::kSha256) {
    if (!queue(message.id, true, lane::TokenAdded{.id = message.id, .attributes = {}}))
      refuse_one(dropped("an add"));
    return;
  }
  if (waiting_.contains(message.id) || asked_.contains(message.id) || book_.contains(message.id))
    return;
  if (waiting_.size() >= kStreamWaitingMax)
    return refuse_one({ErrorCode::kOverloaded,
                       "adds come faster than tokens can be introspected: an add was dropped",
                       {}});
  wait(message.id, Waiting{std::move(message.token), 0, now.boot_ms});
}

void StreamCore::wait(const feed::TokenId& id, Waiting waiting) {
  waiting_due_.emplace(waiting.due_ms, id);
  waiting_.emplace(id, std::move(waiting));
}

void StreamCore::remove(const feed::TokenId& id, Now now) {
  if (const auto waiting = waiting_.find(id); waiting != waiting_.end()) {
    waiting_due_.erase({waiting->second.due_ms, id});
    waiting_.erase(waiting);
  }
  if (const auto asked = asked_.find(id); asked != asked_.end()) asked->second.is_deleted = true;
  int64_t exp_s = 0;
  if (const auto* row = book_.find(id)) exp_s = row->second.exp_s;
  if (queue(id, false, lane::TokenDeleted{.id = id, .exp_s = exp_s})) return;
  refuse_one(dropped("a delete"));
  gap_ = true;
  gap_ends_.reset();
  // The book still has it, so that a sweep finds it.
  if (!can_sweep()) return;
  if (sweep_.is_running)
    sweep_.again.insert(id);
  else
    sweep_.due_ms = std::min(sweep_.due_ms, now.boot_ms + kSweepRetryMs);
}

bool StreamCore::queue(const feed::TokenId& id, bool is_add,
                       std::variant<lane::TokenAdded, lane::TokenDeleted> what) {
  if (untaken_.events.size() >= (is_add ? kStreamUntakenMax : kStreamDeletesMax)) return false;
  lane::IncomingEvent event;
  event.key = fmt::format("{}:{}", id.hex(), is_add ? "add" : "del");
  std::visit([&](auto& one) { event.what = std::move(one); }, what);
  untaken_.events.push_back(std::move(event));
  ++untaken_.queued;
  return true;
}

void StreamCore::refuse_one(Error why) {
  ++counts_.refused;
  refusal_ = std::move(why);
}

// --- introspection

std::optional<ResolveOrder> StreamCore::next_resolve(Now now) {
  if (asked_.size() >= kIntrospectionCallsMax || !can_sweep()) return std::nullopt;
  if (auto order = next_add(now)) return order;
  return next_of_sweep(now);
}

std::optional<ResolveOrder> StreamCore::next_add(Now now) {
  if (waiting_due_.empty() || waiting_due_.begin()->first > now.boot_ms) return std::nullopt;
  auto node = waiting_.extract(waiting_due_.begin()->second);
  waiting_due_.erase(waiting_due_.begin());
  ResolveOrder order{.id = node.key(), .token = node.mapped().token.copy()};
  asked_.emplace(order.id, Asked{.token = std::move(node.mapped().token),
                                 .tries = node.mapped().tries,
                                 .began_ms = now.boot_ms});
  return order;
}

void StreamCore::resolved(const feed::TokenId& id, Result<std::optional<lane::TokenAdded>> result,
                          Now now) {
  auto node = asked_.extract(id);
  if (node.empty()) return;
  if (result)
    resolver_error_.clear();
  else if (is_passing(result.error()))
    resolver_error_ = result.error().message;
  Asked& asked = node.mapped();
  if (!asked.is_sweep) return resolved_add(id, std::move(asked), std::move(result), now);
  resolved_sweep(id, std::move(result), now);
}

void StreamCore::resolved_add(const feed::TokenId& id, Asked asked,
                              Result<std::optional<lane::TokenAdded>> result, Now now) {
  if (asked.is_deleted) return;
  if (!result) {
    if (!is_passing(result.error()) || asked.tries + 1 >= kResolveTriesMax)
      return refuse_one(std::move(result).error());
    const TimeMs wait_ms = doubled(kResolveRetryMs, asked.tries, kReconnectMsMax);
    return wait(id, Waiting{std::move(asked.token), asked.tries + 1, now.boot_ms + wait_ms});
  }
  if (*result) {
    // What was asked before a lost delete may be wrong now.
    if (sweep_.is_running && asked.began_ms < sweep_.began_ms) sweep_.again.insert(id);
    return keep(id, std::move(asked.token), **std::move(result), now);
  }
  if (!queue(id, false, lane::TokenDeleted{.id = id})) refuse_one(dropped("a delete"));
}

void StreamCore::keep(const feed::TokenId& id, TokenText token, lane::TokenAdded added, Now now) {
  // What cannot be asked about again is not added: its delete might be lost.
  if (!book_.put(id, std::move(token), exp_of(added), now.wall_ms / kSecondMs))
    return refuse_one(
        {ErrorCode::kLimit,
         fmt::format("the book of {} tokens is full: an add was refused; see book_max",
                     book_.size()),
         {}});
  if (queue(id, true, std::move(added))) return;
  book_.erase(id);
  refuse_one(dropped("an add"));
}

// --- sweeps

std::optional<ResolveOrder> StreamCore::next_of_sweep(Now now) {
  if (now.boot_ms < sweep_.due_ms) return std::nullopt;
  if (!sweep_.is_running) begin_sweep(now);
  if (now.boot_ms < sweep_.call_due_ms) return std::nullopt;
  const TokenBook::Row* next = next_to_sweep();
  if (next == nullptr) {
    if (sweep_.asked == 0) end_sweep(now);
    return std::nullopt;
  }
  sweep_.call_due_ms =
      std::max(sweep_.call_due_ms, now.boot_ms - kSecondMs) +
      std::max<TimeMs>(1, kSecondMs / std::max<int64_t>(1, terms_.sweep_per_second));
  ++sweep_.asked;
  asked_.emplace(next->first, Asked{.is_sweep = true, .began_ms = now.boot_ms});
  return ResolveOrder{.id = next->first, .token = next->second.token.copy()};
}

const TokenBook::Row* StreamCore::next_to_sweep() {
  for (auto one = sweep_.again.begin(); one != sweep_.again.end();) {
    if (asked_.contains(*one)) {
      ++one;
      continue;
    }
    const TokenBook::Row* row = book_.find(*one);
    one = sweep_.again.erase(one);
    if (row != nullptr) return row;
  }
  const TokenBook::Row* row = book_.next(sweep_.cursor);
  while (row != nullptr && asked_.contains(row->first)) row = book_.next(row->first);
  if (row != nullptr) sweep_.cursor = row->first;
  return row;
}

bool StreamCore::has_to_sweep() const {
  const auto is_free = [this](const feed::TokenId& id) { return !asked_.contains(id); };
  if (std::ranges::any_of(sweep_.again, is_free)) return true;
  const TokenBook::Row* row = book_.next(sweep_.cursor);
  while (row != nullptr && !is_free(row->first)) row = book_.next(row->first);
  return row != nullptr;
}

void StreamCore::begin_sweep(Now now) {
  book_.expire(now.wall_ms / kSecondMs);
  sweep_.is_running = true;
  sweep_.has_failed = false;
  sweep_.began_ms = now.boot_ms;
  sweep_.cursor.reset();
  sweep_.again.clear();
  for (const auto& [id, asked] : asked_)
    if (asked.is_sweep) sweep_.again.insert(id);
  sweep_.call_due_ms = now.boot_ms;
  sweep_.error.clear();
}

void StreamCore::resolved_sweep(const feed::TokenId& id,
                                Result<std::optional<lane::TokenAdded>> result, Now now) {
  --sweep_.asked;
  if (result && *result) return;
  if (result) {
    int64_t exp_s = 0;
    if (const auto* row = book_.find(id)) exp_s = row->second.exp_s;
    if (queue(id, false, lane::TokenDeleted{.id = id, .exp_s = exp_s})) return;
    result = fail(ErrorCode::kOverloaded, "the lane takes events more slowly than they come");
  }
  sweep_.error = result.error().message;
  if (is_passing(result.error())) {
    // The rest would fail too, and each such call takes its time.
    sweep_.again.insert(id);
    sweep_.due_ms = now.boot_ms + kSweepRetryMs;
    return;
  }
  sweep_.has_failed = true;
  refuse_one(std::move(result).error());
}

void StreamCore::end_sweep(Now now) {
  sweep_.is_running = false;
  sweep_.due_ms = sweep_.has_failed ? now.boot_ms + kSweepRetryMs
                                    : std::max(now.boot_ms, sweep_.began_ms + kSweepMs);
  if (sweep_.has_failed || !gap_ || !link_.is_up) return;
  gap_ends_ = untaken_.queued;
  close_gap();
}

void StreamCore::close_gap() {
  if (!gap_ends_ || untaken_.done < *gap_ends_) return;
  gap_ = false;
  gap_ends_.reset();
}

// --- the lane

std::optional<std::vector<lane::IncomingEvent>> StreamCore::next_take(Now now) {
  if (untaken_.taking > 0 || untaken_.events.empty() || now.boot_ms < untaken_.retry_ms)
    return std::nullopt;
  untaken_.taking = std::min(untaken_.events.size(), kStreamBatchMax);
  // Copies: what the lane does not take is handed over again.
  return std::vector<lane::IncomingEvent>(untaken_.events.begin(),
                                          untaken_.events.begin() + untaken_.taking);
}

void StreamCore::taken(Result<lane::IntakeOutcome> result, Now now) {
  const size_t count = std::exchange(untaken_.taking, 0);
  if (!result) {
    untaken_.error = std::move(result).error().message;
    untaken_.retry_ms = now.boot_ms + kTakeRetryMs;
    return;
  }
  untaken_.error.clear();
  for (size_t i = 0; i < count; ++i) {
    settle(untaken_.events.front(),
           i < result->refused.size() ? result->refused[i] : std::optional<Error>());
    untaken_.events.pop_front();
  }
  untaken_.done += count;
  close_gap();
}

void StreamCore::settle(const lane::IncomingEvent& event, const std::optional<Error>& refused) {
  if (refused)
    refuse_one(*refused);
  else
    ++counts_.events;
  const auto* added = std::get_if<lane::TokenAdded>(&event.what);
  const auto* deleted = std::get_if<lane::TokenDeleted>(&event.what);
  if (added != nullptr && refused) book_.erase(added->id);
  if (deleted != nullptr && !refused) book_.erase(deleted->id);
}

// --- time

TimeMs StreamCore::next_deadline() const {
  TimeMs out = std::min(link_.due_ms, look_.due_ms);
  if (untaken_.taking == 0 && !untaken_.events.empty()) out = std::min(out, untaken_.retry_ms);
  if (!can_sweep() || asked_.size() >= kIntrospectionCallsMax) return out;
  if (!waiting_due_.empty()) out = std::min(out, waiting_due_.begin()->first);
  if (!sweep_.is_running) return std::min(out, sweep_.due_ms);
  // Its end waits for the answers to what is asked.
  if (has_to_sweep() || sweep_.asked == 0)
    out = std::min(out, std::max(sweep_.due_ms, sweep_.call_due_ms));
  return out;
}

lane::SourceState StreamCore::state(Now now) const {
  lane::SourceState out = counts_;
  out.state = State::kLate;
  if (!link_.is_up) {
    if (now.boot_ms - link_.since_ms >= kStreamFailingMs) out.state = State::kFailing;
    out.message = link_.error.empty() ? "not connected yet" : link_.error;
  } else if (!untaken_.error.empty()) {
    out.message = fmt::format("the lane does not take events: {}", untaken_.error);
  } else if (!resolver_error_.empty()) {
    out.message = fmt::format("introspection: {}", resolver_error_);
  } else if (gap_ && !can_sweep()) {
    out.message =
        "deletes may have been lost with the connection; the ids are hashes, about which nothing "
        "can be asked";
  } else if (gap_) {
    out.message =
        sweep_.error.empty()
            ? fmt::format("deletes may have been lost; {} tokens are asked about", book_.size())
            : fmt::format("deletes may have been lost: {}", sweep_.error);
  } else if (!look_.last) {
    out.message = "which tokens the lane has of this source is not known yet";
  } else if (look_.last->until_s > now.wall_ms / kSecondMs) {
    out.message = fmt::format(
        "deletes of the time when this registry was down may have been lost: {} tokens from before "
        "cannot be asked about, since no text of a token is kept; the last of them ends in {} s",
        look_.last->tokens, look_.last->until_s - now.wall_ms / kSecondMs);
  } else {
    out.state = State::kOk;
  }
  return out;
}

}  // namespace notp::lane_inputs
