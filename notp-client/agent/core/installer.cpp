#include "notp-client/agent/core/installer.hpp"

#include <fmt/format.h>

#include "common/assert.hpp"
#include "notp-client/agent/core/retention.hpp"

namespace notp::agent {
namespace {

// Whether the code indicates damage of the stored base.
bool is_damage(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt;
}

bool is_delta_failure(ErrorCode code) {
  return code == ErrorCode::kArtifact || code == ErrorCode::kContentRoot || is_damage(code);
}

bool is_attack(ErrorCode code) {
  return code == ErrorCode::kRollback || code == ErrorCode::kEquivocation ||
         code == ErrorCode::kSignature || code == ErrorCode::kWrongTarget ||
         code == ErrorCode::kStatement || code == ErrorCode::kEnvelope;
}

}  // namespace

Installer::Installer(CoreParts parts, ContentRepair& repair, PartialTransfers& transfers,
                     const Activation& activation, size_t releases_kept)
    : parts_(parts),
      repair_(repair),
      transfers_(transfers),
      activation_(activation),
      releases_kept_(releases_kept) {}

void Installer::add(ReceivedArtifact received) {
  received_.push_back(std::move(received));
  start_next();
}

void Installer::start_next() {
  while (!installing_ && !received_.empty()) {
    ReceivedArtifact next = std::move(received_.front());
    received_.pop_front();
    if (auto request = request_for(next)) {
      request->kept_versions = next.kept_versions = versions_to_keep(*request);
      installing_ = std::move(next);
      parts_.effects.push_back(effect::Install{*std::move(request)});
    } else {
      repair_.fetch_full(next.offer.ledger);
      transfers_.drop(next.offer);
    }
  }
}

std::optional<InstallRequest> Installer::request_for(const ReceivedArtifact& received) const {
  const wire::Offer& offer = received.offer;
  InstallRequest request{.ledger = offer.ledger,
                         .version = offer.version,
                         .artifact = received.artifact,
                         .base_version = 0,
                         .base_envelope = {},
                         .partial = {},
                         .trusted = parts_.trust.trusted(),
                         .now_ms = parts_.trust.now_ms(),
                         .confirmed = parts_.releases.proven(offer.ledger),
                         .kept_versions = {}};
  if (!offer.base && !offer.partial) return request;
  // A part of a release that the registry does not know comes from the last inventory.
  const HeldRelease* held = repair_.held(offer.ledger);
  const uint64_t held_version = held ? held->version : 0;
  const store::StoredRelease* base =
      parts_.releases.find(offer.ledger, offer.base ? offer.base->version : held_version);
  const bool is_other = base && offer.base && !offer.base->content_root.is_zero() &&
                        base->ref.content_root != offer.base->content_root;
  if (!base || is_other) return std::nullopt;
  request.base_version = base->ref.version;
  if (offer.partial)
    request.partial = HeldPart{.content_root = offer.partial->content_root,
                               .missing_blobs = held ? held->missing_blobs : std::set<Hash>(),
                               .excluded_leaves = offer.partial->excluded_leaves};
  else
    request.base_envelope = base->envelope;
  return request;
}

std::set<uint64_t> Installer::versions_to_keep(const InstallRequest& request) const {
  std::set<uint64_t> in_use;
  for (const DesiredState* state : {&parts_.releases.active(), activation_.in_flight()}) {
    if (!state) continue;
    if (const auto used = state->find(request.ledger); used != state->end())
      in_use.insert(used->second.version);
  }
  return notp::agent::versions_to_keep(parts_.releases.of(request.ledger),
                                       {.installed = request.version,
                                        .in_use = std::move(in_use),
                                        .confirmed = request.confirmed,
                                        .releases_max = releases_kept_});
}

ReceivedArtifact Installer::finish() {
  NOTP_ASSERT(installing_, "an installation that was never asked for");
  ReceivedArtifact received = std::move(*installing_);
  installing_.reset();
  return received;
}

void Installer::on_failed(const wire::Offer& offer, const Error& error) {
  const model::LedgerId& ledger = offer.ledger;
  if (offer.base && !offer.partial && is_damage(error.code))
    return repair_.scan(ledger, offer.base->version, std::nullopt);
  // The front of a resumed transfer came from an earlier session, possibly from another registry:
  // its errors, including those of its envelope, do not count against this registry.
  const bool is_resumed = offer.offset > 0;
  if (is_resumed && error.code != ErrorCode::kIo) return repair_.fetch_full(ledger);
  if (is_attack(error.code)) parts_.alarms.raise(error);
  if (is_delta_failure(error.code) && (offer.base || offer.partial))
    return repair_.fetch_full(ledger);
  parts_.effects.push_back(
      effect::Changed{ledger, offer.version, wire::CommitState::kRejected, error.message});
  parts_.reports.set_install_error(
      ledger, Error(error).in(fmt::format("v{} cannot be taken", offer.version)));
  parts_.reports.report(ledger, offer.version, wire::CommitState::kRejected, &error);
  // A failed store may work again after a pause; the release is pulled again then.
  if (error.code == ErrorCode::kIo) parts_.registry.say_bye("the node's store failed");
}

}  // namespace notp::agent
