#include "notp-client/agent/host/agent_traces.hpp"

#include <utility>

namespace notp::agent {

Span AgentTraces::begin(std::string_view name, SpanKind kind, const model::LedgerId& ledger,
                        const Release& release) const {
  Span span = tracer_.begin(name, kind, release.push);
  span.set("notp.ledger", ledger.text());
  span.set("notp.version", release.version);
  span.set("notp.node", node_);
  return span;
}

AgentTraces::Release* AgentTraces::find(const model::LedgerId& ledger, uint64_t version) {
  const auto found = releases_.find(ledger);
  return found != releases_.end() && found->second.version == version ? &found->second : nullptr;
}

void AgentTraces::offered(const effect::TracedOffer& offer) {
  if (!tracer_.is_on()) return;
  Release& release = releases_[offer.ledger];
  // The PDP may never confirm the one before: nothing would end it.
  release.activate.drop();
  release = {.version = offer.version, .push = offer.trace};
  release.receive = begin("receive", SpanKind::kConsumer, offer.ledger, release);
  release.receive.set("notp.bytes", offer.bytes);
}

void AgentTraces::install_began(const model::LedgerId& ledger, uint64_t version) {
  Release* const release = find(ledger, version);
  if (release == nullptr) return;
  release->receive.end();
  release->store = begin("store", SpanKind::kInternal, ledger, *release);
  installing_.emplace(ledger, version);
}

void AgentTraces::install_ended(const Result<store::StoredRelease>& outcome) {
  const auto installed = std::exchange(installing_, std::nullopt);
  if (!installed) return;
  Release* const release = find(installed->first, installed->second);
  if (release == nullptr) return;
  release->store.end_with(outcome);
  release->is_stored = outcome.has_value();
}

void AgentTraces::activation_began(const DesiredState& desired) {
  for (const auto& [ledger, wanted] : desired) {
    Release* const release = find(ledger, wanted.version);
    if (release == nullptr || !release->is_stored || release->activate.is_open()) continue;
    release->activate = begin("activate", SpanKind::kInternal, ledger, *release);
    release->activate.set("notp.pdp", pdp_);
  }
}

void AgentTraces::activation_ended(const DesiredState& desired,
                                   const std::optional<Error>& rejected) {
  for (const auto& [ledger, wanted] : desired) {
    Release* const release = find(ledger, wanted.version);
    if (release == nullptr) continue;
    if (rejected) release->activate.fail(rejected->code);
    release->activate.end();
  }
}

void AgentTraces::changed(const effect::Changed& change) {
  if (change.state == wire::CommitState::kStored) return;
  if (find(change.ledger, change.version) != nullptr) releases_.erase(change.ledger);
}

void AgentTraces::disconnected() {
  for (auto& [ledger, release] : releases_) {
    if (release.receive.is_open()) release.receive.fail(ErrorCode::kUnavailable);
    release.receive.end();
  }
}

}  // namespace notp::agent
