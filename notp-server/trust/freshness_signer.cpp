#include "notp-server/trust/freshness_signer.hpp"

#include <algorithm>

#include "common/log.hpp"
#include "common/storage/files.hpp"

namespace notp::trust {

std::string_view freshness_key_state_name(FreshnessKeyState state) {
  switch (state) {
    case FreshnessKeyState::kOff:
      return "off";
    case FreshnessKeyState::kSigning:
      return "signing";
    case FreshnessKeyState::kMissing:
      return "missing";
    case FreshnessKeyState::kOther:
      return "other";
  }
  return "unknown";
}

Result<bool> FreshnessSigner::configure(const FreshnessOptions& options) {
  auto next = std::make_shared<Using>();
  next->options = options;
  if (!options.private_key.empty()) {
    NOTP_ASSIGN(const Bytes pem, read_file(options.private_key, limits::kPemBytesMax));
    auto key = PrivateKey::from_pem(pem);
    if (!key)
      return std::unexpected(
          std::move(key).error().in("the freshness key " + options.private_key.string()));
    next->key = std::make_shared<const PrivateKey>(std::move(*key));
    next->public_key = next->key->public_key();
  }
  const bool changed = next->public_key != using_.get()->public_key;
  using_.set(std::move(next));
  return changed;
}

FreshnessKeyState FreshnessSigner::state_of(const Root& root, const Using& in_use) {
  if (root.freshness_keys.empty()) return FreshnessKeyState::kOff;
  if (!in_use.key) return FreshnessKeyState::kMissing;
  return std::ranges::find(root.freshness_keys, in_use.public_key) != root.freshness_keys.end()
             ? FreshnessKeyState::kSigning
             : FreshnessKeyState::kOther;
}

void FreshnessSigner::log_key_state() const {
  const auto root = roots_.current();
  const FreshnessKeyState state = key_state();
  if (logged_.exchange(state) == state) return;
  const std::string_view name = freshness_key_state_name(state);
  if (state == FreshnessKeyState::kOff || state == FreshnessKeyState::kSigning)
    return log::info("freshness_key", {{"state", name}, {"root_version", root->version}});
  log::error("freshness_key",
             {{"state", name},
              {"root_version", root->version},
              {"message",
               "no freshness is signed, and nodes will become stale: give this registry the "
               "freshness key of the newest root (freshness.private_key)"}});
}

template <typename Statement>
Result<std::shared_ptr<const FreshnessSigner::Using>> FreshnessSigner::issue(Statement& statement,
                                                                             uint64_t sequence_min,
                                                                             Now now) const {
  const auto root = roots_.current();
  auto in_use = using_.get();
  if (state_of(*root, *in_use) != FreshnessKeyState::kSigning) {
    log_key_state();
    return fail(ErrorCode::kConfig, "this registry does not have the root's freshness key");
  }
  statement.trust_domain = root->trust_domain;
  statement.sequence = std::max(sequence_min, static_cast<uint64_t>(now.wall_ms));
  statement.root_version = root->version;
  statement.issued_ms = now.wall_ms;
  if (statement.sequence > limits::kVersionMax) {
    log::error("freshness_not_signed",
               {{"identity", statement.audience},
                {"message",
                 "this node has accepted a sequence that no time reaches; was the "
                 "freshness key stolen? publish a root with a new one"}});
    return fail(ErrorCode::kLimit, "no sequence is left");
  }
  return in_use;
}

Result<std::pair<Freshness, Bytes>> FreshnessSigner::sign(Freshness listed, uint64_t sequence_min,
                                                          Now now) const {
  NOTP_ASSIGN(const auto in_use, issue(listed, sequence_min, now));
  listed.expires_ms =
      now.wall_ms + std::min<TimeMs>(in_use->options.lifetime_ms, limits::kFreshnessLifetimeMsMax);
  for (FreshHead& head : listed.heads)
    if (head.version != 0) head.withdrawn = registry_.withdrawn(head.ledger);
  Bytes signature =
      in_use->key->sign(pre_authentication_encoding(listed.payload_type(), listed.encode()));
  ++signed_;
  if (listed.class_id) ++class_signed_;
  return std::pair{std::move(listed), std::move(signature)};
}

bool FreshnessSigner::holds(const Freshness& statement) const {
  return statement.root_version == roots_.current()->version &&
         std::ranges::all_of(statement.heads, [this](const FreshHead& head) {
           return head.version == 0 || head.withdrawn == registry_.withdrawn(head.ledger);
         });
}

Result<std::pair<Assignment, Bytes>> FreshnessSigner::sign(Assignment assigned,
                                                           uint64_t sequence_min, Now now) const {
  NOTP_ASSIGN(const auto in_use, issue(assigned, sequence_min, now));
  assigned.expires_ms = now.wall_ms + limits::kAssignmentLifetimeMs;
  Envelope envelope = envelope_of(assigned);
  envelope.signatures.push_back(
      {in_use->key->sign(pre_authentication_encoding(envelope.payload_type, envelope.payload)),
       {}});
  ++assigned_;
  return std::pair{std::move(assigned), envelope.encode()};
}

}  // namespace notp::trust
