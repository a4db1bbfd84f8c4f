// The registry's end of a session over two ledgers, with the real freshness key and no socket.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>

#include "common/limits.hpp"
#include "protocol/session/server/server_session.hpp"
#include "tests/support/wire/signed_freshness.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tests/support/wire/wire_messages.hpp"

namespace notp::session {

inline const model::LedgerId kOther{samples::kLedger.zone, "gateway"};
inline constexpr Now kStart{samples::kIssuedMs + 1'000'000, 7'000};
inline constexpr TimeMs kInterval = limits::kFreshnessIntervalMs;

inline Bytes root_envelope(uint64_t version) { return "root " + std::to_string(version); }

// Two ledgers and a chain of roots, with the real freshness key.
struct ServedRegistry final : Catalog, TargetSource, SessionRights, FreshnessSource {
  std::map<model::LedgerId, trust::Release> heads = {{samples::kLedger, samples::release(3)}};
  std::vector<Hash> withdrawn;
  uint64_t roots = 1;
  uint64_t new_freshness_key_at = 0;
  std::map<std::string, uint64_t, std::less<>> held;  // at which version, by reader
  std::set<model::LedgerId> forbidden;
  std::set<wire::Action> granted = {wire::Action::kRead};
  bool can_sign = true;
  std::set<model::LedgerId> unattested;
  Hash known_root;  // of the head, in place of the samples'; zero: theirs
  mutable std::atomic<size_t> signatures{0}, class_signatures{0}, assignments{0};
  // Runs between a session's last look at the roots and the signature.
  mutable std::function<void()> before_signing = [] {};

  void set_head(const model::LedgerId& ledger, uint64_t version) {
    heads[ledger] = samples::release(version);
    heads[ledger].ledger = ledger;
  }

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view reader) const override {
    const auto found = heads.find(ledger);
    if (found == heads.end()) return std::nullopt;
    const auto hold = held.find(reader);
    return release(ledger, hold == held.end() ? found->second.version : hold->second);
  }
  std::string ring(const model::LedgerId&, std::string_view reader) const override {
    const auto hold = held.find(reader);
    return hold == held.end() ? "" : std::to_string(hold->second);
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override {
    const auto found = heads.find(ledger);
    if (found == heads.end() || version > found->second.version) return std::nullopt;
    trust::Release one = found->second;
    one.version = version;
    if (!known_root.is_zero() && version == found->second.version) one.content_root = known_root;
    return trust::ref_of(one, samples::place_of(one).release_hash);
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return target(ledger, {});
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<CatalogRoot> roots_after(uint64_t version) const override {
    std::vector<CatalogRoot> out;
    while (++version <= roots && out.size() < limits::kRootStepsMax)
      out.push_back({version, std::make_shared<const Bytes>(root_envelope(version)),
                     version == new_freshness_key_at});
    return out;
  }
  uint64_t newest_root() const override { return roots; }

  Result<void> may(wire::Action action, const model::LedgerId* ledger) const override {
    if (granted.contains(action) && !(ledger && forbidden.contains(*ledger))) return {};
    return fail(ErrorCode::kDenied, "not granted");
  }

  bool enabled() const override { return true; }
  bool attests(const model::LedgerId& ledger) const override {
    return !unattested.contains(ledger);
  }
  TimeMs interval_ms() const override { return kInterval; }
  Result<std::pair<trust::Freshness, Bytes>> sign(trust::Freshness listed, uint64_t sequence_min,
                                                  Now now) const override {
    std::exchange(before_signing, [] {})();
    if (!can_sign) return fail(ErrorCode::kConfig, "no key");
    ++(listed.class_id ? class_signatures : signatures);
    listed.root_version = roots;
    for (trust::FreshHead& target : listed.heads)
      if (target.version != 0) target.withdrawn = withdrawn;
    return samples::signed_freshness(std::move(listed), sequence_min, now);
  }
  bool holds(const trust::Freshness& statement) const override {
    return statement.root_version == roots &&
           std::ranges::all_of(statement.heads, [this](const trust::FreshHead& head) {
             return head.version == 0 || head.withdrawn == withdrawn;
           });
  }
  Result<std::pair<trust::Assignment, Bytes>> sign(trust::Assignment assigned,
                                                   uint64_t sequence_min, Now now) const override {
    if (!can_sign) return fail(ErrorCode::kConfig, "no key");
    if (sequence_min > limits::kVersionMax) return fail(ErrorCode::kLimit, "no sequence is left");
    ++assignments;
    assigned.root_version = roots;
    return samples::signed_assignment(std::move(assigned), sequence_min, now);
  }
};

// A session of the registry with one peer, which takes everything at once.
struct Served {
  ServedRegistry registry;
  std::string peer;
  ServerSession session;
  Now now = kStart;
  std::vector<ServerEvent> events;
  size_t bytes = 0;  // of the last output

  explicit Served(std::string who = samples::kNode, const IssuerStatuses* sources = nullptr)
      : peer(std::move(who)),
        session({registry, registry, registry, &registry, nullptr, sources},
                {"test", std::string(samples::kDomain), peer}, kStart) {}

  std::vector<wire::Message> output() {
    for (ServerEvent& event : session.take_events()) events.push_back(std::move(event));
    const Bytes out = session.take_output(1 << 24);
    bytes = out.size();
    return messages_in(out);
  }
  std::vector<wire::Message> after(const wire::Message& message) {
    session.receive(wire::encode_frame(message), now);
    return output();
  }
  // Advances time until the session's next deadline.
  std::vector<wire::Message> next_deadline() {
    const TimeMs passed = session.next_deadline() - now.boot_ms;
    now.boot_ms += passed;
    now.wall_ms += passed;
    session.on_deadline(now);
    auto out = output();
    // The peer is alive.
    session.receive(wire::encode_frame(wire::Ping{1}), now);
    session.take_output(1 << 20);
    return out;
  }
  std::vector<wire::Message> subscribe(std::vector<model::LedgerId> ledgers,
                                       uint64_t root_version = 1, uint64_t sequence = 0) {
    wire::Hello hello{{wire::kProtocolVersion}, "test", root_version, sequence, {}};
    for (const model::LedgerId& ledger : ledgers) {
      wire::Want want;
      want.ledger = ledger;
      // Nothing that the registry has lost.
      if (const auto head = registry.newest(ledger); head && head->version >= 3)
        want.base = wire::Base{3, registry.target(samples::kLedger, {})->content_root};
      hello.wants.push_back(want);
    }
    return after(hello);
  }
};

template <typename T>
std::vector<T> all_of(const std::vector<wire::Message>& messages) {
  std::vector<T> out;
  for (const auto& message : messages)
    if (const auto* one = std::get_if<T>(&message)) out.push_back(*one);
  return out;
}

}  // namespace notp::session
