#include "tests/sim/lane_oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <span>

#include "protocol/feed/feed_limits.hpp"

namespace notp::sim {
namespace {

using feed::EventKind;
using feed::MarkKind;

// The marks that a token may be revoked by.
std::vector<feed::TokenId> marks_of(const SimClaims& claims) {
  return {feed::mark_key(MarkKind::kSubject, claims.iss, claims.sub),
          feed::mark_key(MarkKind::kSession, claims.iss, claims.sid)};
}

// A history is ascending by revision.
std::span<const lane::Row> rows_between(const LaneHistory& history, uint64_t after, uint64_t last) {
  const auto begin = std::ranges::upper_bound(history, after, {}, &lane::Row::revision);
  const auto end =
      std::ranges::upper_bound(history, std::max(after, last), {}, &lane::Row::revision);
  return {begin, end};
}

feed::TokenId number_mark(const SimClaims& claims) {
  return feed::mark_key(MarkKind::kTokenNumber, claims.iss, claims.jti);
}

}  // namespace

// --- what was acknowledged

void LaneOracle::reported(const SimLaneNode& node, const feed::TokenId& instance,
                          uint64_t revision) {
  Acknowledged& known = nodes_[node.index()];
  uint64_t& done = known.done[instance];
  const int64_t trusted_s = node.trusted_ms() / 1'000;
  for (const lane::Row& row : rows_between(registry_.history(instance), done, revision)) {
    const feed::Event& event = row.event;
    if (event.kind != EventKind::kMark && event.kind != EventKind::kDeleted) continue;
    // What a wrong clock of the registry made it forget no snapshot has.
    const auto kept = *registry_.store().find(feed::key_of(event));
    if (!kept || event.until_s <= trusted_s + 1) continue;
    // A PDP that was killed has nothing, and denies all.
    if (node.pdp() && node.pdp()->readout().is_complete && !node.pdp()->has(event))
      port_.violation(node.index(),
                      fmt::format("it reports revision {}, and its PDP lacks revocation {} of {}",
                                  revision, event.id.hex(), row.revision));
    if (!node.disk().has(event))
      port_.violation(node.index(),
                      fmt::format("it reports revision {}, and revocation {} of {} is not durable",
                                  revision, event.id.hex(), row.revision));
    if (event.kind == EventKind::kDeleted)
      known.deleted.insert(event.id);
    else
      known.marks[event.id] = std::max(known.marks[event.id], event.not_before_s);
  }
  if (revision <= done) return;
  done = revision;
  check_tokens(node, instance, revision);
}

// A token that the node has was not deleted up to the revision that it has.
void LaneOracle::check_tokens(const SimLaneNode& node, const feed::TokenId& instance,
                              uint64_t revision) {
  if (!node.pdp() || node.core()->is_in_snapshot()) return;
  std::map<feed::TokenId, EventKind>& last = last_[{node.index(), instance}];
  uint64_t& seen = seen_[{node.index(), instance}];
  for (const lane::Row& row : rows_between(registry_.history(instance), seen, revision))
    if (row.event.kind >= EventKind::kDeleted) last[row.event.id] = row.event.kind;
  seen = revision;
  for (const auto& [id, kind] : last) {
    if (kind == EventKind::kDeleted && node.pdp()->lookup(id, node.now()))
      port_.violation(node.index(), fmt::format("it reports revision {}, and lets {} in, which was "
                                                "deleted before",
                                                revision, id.hex()));
  }
}

void LaneOracle::heard(const SimLaneNode& node, TimeMs time_ms) {
  TimeMs& heard_ms = nodes_[node.index()].heard_ms;
  heard_ms = std::max(heard_ms, time_ms);
}

void LaneOracle::clock_set_back(const SimLaneNode& node) {
  Acknowledged& known = nodes_[node.index()];
  std::erase_if(known.deleted, [this](const feed::TokenId& id) {
    return !*registry_.store().find({EventKind::kDeleted, id});
  });
  std::erase_if(known.marks, [this](const auto& mark) {
    const auto row = *registry_.store().find({EventKind::kMark, mark.first});
    return !row || row->event.not_before_s < mark.second;
  });
  known.heard_ms = std::min(known.heard_ms, node.now().wall_ms);
}

// --- decisions

bool LaneOracle::is_revoked(const Acknowledged& known, const SimToken& token) const {
  if (known.deleted.contains(token.id)) return true;
  return std::ranges::any_of(marks_of(token.claims), [&](const feed::TokenId& key) {
    const auto mark = known.marks.find(key);
    return mark != known.marks.end() && token.claims.iat_s <= mark->second;
  });
}

bool LaneOracle::decide(const SimLaneNode& node, const SimToken& token) {
  if (!node.pdp()) return false;
  const Now now = node.now();
  const LanePdp& pdp = *node.pdp();
  const Acknowledged& known = nodes_[node.index()];
  const bool as_reference = pdp.lookup(token.id, now).has_value();
  const bool as_jwt = !pdp.revoked(token.claims, now) && !pdp.revoked(token.id, now) &&
                      token.claims.exp_s * 1'000 > pdp.now_ms(now);
  const bool accepts = as_reference || as_jwt;
  ++(accepts ? accepted_ : denied_);
  if (!accepts) return false;
  const auto found = [&](const char* what) {
    port_.violation(node.index(),
                    fmt::format("{} token {} is accepted as a {}", what, token.claims.jti,
                                as_reference ? "reference token" : "JWT"));
  };
  if (is_revoked(known, token)) found("revoked");
  if (as_jwt && known.marks.contains(number_mark(token.claims))) found("revoked");
  const TimeMs trusted_ms = node.trusted_ms();
  if (token.claims.exp_s * 1'000 <= trusted_ms) found("expired");
  if (trusted_ms - known.heard_ms > 900'000) found("by a stale lane,");
  return true;
}

// --- the registry

void LaneOracle::check_registry() {
  const feed::TokenId instance = registry_.store().state().instance;
  const int64_t now_s = registry_.now().wall_ms / 1'000;
  for (const SimToken& token : truth_.tokens()) {
    if (token.deleted_in != instance || token.claims.exp_s <= now_s) continue;
    if (*registry_.store().find({EventKind::kToken, token.id}))
      port_.violation(kRegistry, fmt::format("{} was deleted, and lives again", token.claims.jti));
  }
}

// --- convergence

bool LaneOracle::is_marked(const SimToken& token) const {
  return std::ranges::any_of(marks_of(token.claims), [&](const feed::TokenId& key) {
    const auto row = *registry_.store().find({EventKind::kMark, key});
    return row && row->event.not_before_s >= token.claims.iat_s;
  });
}

bool LaneOracle::was_revoked(const SimToken& token) const {
  const auto keys = marks_of(token.claims);
  for (const auto& [instance, history] : registry_.histories())
    for (const lane::Row& row : history) {
      if (row.event.kind == EventKind::kDeleted && row.event.id == token.id) return true;
      if (row.event.kind == EventKind::kMark && row.event.not_before_s >= token.claims.iat_s &&
          std::ranges::find(keys, row.event.id) != keys.end())
        return true;
    }
  return false;
}

void LaneOracle::check_converged(const SimLaneNode& node,
                                 const std::optional<lane::GrantView>& view) {
  const auto wrong = [&](const std::string& text) { port_.violation(node.index(), text); };
  if (!node.pdp()) return wrong("its PDP is down");
  const LanePdp& pdp = *node.pdp();
  const Now now = node.now();
  const auto state = lane::lane_state_name(pdp.readout(), pdp.now_ms(now));
  if (!view) {
    if (state != "denied") wrong(fmt::format("it has no grant, and its lane is {}", state));
    return;
  }
  lane::MemoryEventStore& store = registry_.store();
  // Trusted time stays ahead of a wall clock that was ahead for less than what is set back.
  const bool is_ahead = pdp.now_ms(now) - now.wall_ms > limits::kLaneLiveMs - 15'000;
  if ((state != "live" && !(is_ahead && state == "lagging")) ||
      pdp.readout().revision != store.state().head)
    wrong(fmt::format("its lane is {} at revision {} of {}", state, pdp.readout().revision,
                      store.state().head));
  const int64_t now_s = pdp.now_ms(now) / 1'000;
  std::map<feed::TokenId, EventKind> last;
  std::map<feed::TokenId, size_t> adds;
  for (const lane::Row& row : registry_.history(store.state().instance)) {
    if (row.event.kind >= EventKind::kDeleted) last[row.event.id] = row.event.kind;
    if (row.event.kind == EventKind::kToken) ++adds[row.event.id];
  }
  for (const SimToken& token : truth_.tokens()) {
    if (std::abs(token.claims.exp_s - now_s) < 5) continue;
    const auto row = *store.find({EventKind::kToken, token.id});
    // The registry's clock was ahead, and it took the token for ended; perhaps it has it anew.
    if (!row && last.contains(token.id) && last[token.id] == EventKind::kToken) continue;
    if (row && !row->replaced && adds[token.id] > 1) continue;
    std::optional<feed::Event> expected;
    if (row && !view->is_ask()) expected = view->answer(row->event);
    if (expected && (expected->record.exp_s <= now_s || is_marked(token))) expected.reset();
    const auto found = pdp.lookup(token.id, now);
    // A node may know more revocations than a registry that was restored.
    if (view->is_ask() || (!found && was_revoked(token))) continue;
    if (found.has_value() != expected.has_value())
      wrong(fmt::format("{} is {} here, and {} by the registry", token.claims.jti,
                        found ? "alive" : "unknown", expected ? "alive" : "not"));
    else if (found && !(*found == expected->record))
      wrong(fmt::format("{} has other attributes than at the registry", token.claims.jti));
  }
  const auto page = store.range(std::nullopt, SIZE_MAX, SIZE_MAX);
  for (const lane::Row& row : page->rows) {
    if (row.event.kind == EventKind::kToken || row.event.until_s <= now_s + 5) continue;
    if (row.event.kind == EventKind::kList) {
      if (!pdp.entries().contains(feed::key_of(row.event))) wrong("it lacks a status list");
    } else if (!pdp.has(row.event)) {
      wrong(fmt::format("it lacks the revocation {} of revision {}", row.event.id.hex(),
                        row.revision));
    }
  }
}

}  // namespace notp::sim
