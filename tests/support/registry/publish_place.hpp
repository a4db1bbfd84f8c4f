// The publish pipeline on a folder with real Git, and releases that a publisher proposes to it.
#pragma once

#include <fmt/format.h>

#include <optional>

#include "notp-server/publish/publish_pipeline.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/model/manifest.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp::publish {

inline const session::Identity kCarol{std::string(samples::kDomain), session::Role::kPublisher,
                                      "carol"};
inline constexpr TimeMs kNowMs = samples::kIssuedMs + 1'000;

inline uint32_t wire_of(ErrorCode code) { return static_cast<uint32_t>(code); }

// Keys 2, 3 and 4 may publish everything, any two of them together.
inline trust::Root two_of_three() {
  trust::Root root = samples::root();
  root.delegations = {{"*/*", samples::public_keys({2, 3, 4}), 2}};
  return root;
}

inline samples::Texts policy(int step, const std::string& data_root = "authz") {
  return {{"manifest.json", fmt::format(R"({{"metadata":{{"name":"m"}},
             "runtimes":{{"rego":{{"language":{{"name":"rego","version":"1.0"}}}}}},
             "partitions":{{"/":{{"runtime":"rego"}}}},"roots":["{}"]}})",
                                        data_root)},
          {"policies/allow.rego",
           fmt::format("package {}\n\nallow if input.n > {}\n", data_root, step)}};
}

// A registry on a folder; a second one may use the same folder later.
struct Place {
  explicit Place(const fs::path& data)
      : registry(open(data)),
        waiting(PendingStore::open(data / "pending").value()),
        pipeline(
            *registry, *waiting, [this] { return root; }, rights, test_checker(), {}, nullptr,
            [](const model::LedgerId&, const model::LedgerId&) {
              return std::optional<std::string>("edge-1");
            }) {}

  void set_root(const trust::Root& next) { root = std::make_shared<const trust::Root>(next); }
  uint64_t head() const {
    const auto info = registry->head(kLedger);
    return info ? info->release.version : 0;
  }
  std::vector<wire::PendingRow> rows() const { return pipeline.pending(kLedger).rows; }

  std::shared_ptr<const trust::Root> root = std::make_shared<const trust::Root>(two_of_three());
  AtomicShared<authz::RightsTable> rights{std::make_shared<const authz::RightsTable>(
      std::vector<authz::RightsRule>{{*session::IdentityPattern::parse("node/*", samples::kDomain),
                                      true,
                                      {"*/*"},
                                      {wire::Action::kRead}}})};
  std::unique_ptr<registry::GitRegistry> registry;
  std::unique_ptr<PendingStore> waiting;
  PublishPipeline pipeline;
};

// A publisher's release before any signature.
struct Proposal {
  trust::Release release;
  model::ModelContent content;
  registry::SnapshotPtr base;

  Hash hash() const { return trust::release_hash(release.encode()); }
  Bytes signature(uint8_t key) const {
    return samples::signed_by(release, {key}).signatures.front().signature;
  }
};

inline Proposal propose(const Place& place, const samples::Texts& files,
                        const model::LedgerId& ledger = kLedger) {
  Proposal out;
  const auto head = place.registry->head(ledger);
  registry::NewRelease next = next_release(ledger, head, model_of(files));
  out.content = std::move(next.content);
  out.release = std::move(next.release);
  out.release.issued_ms = samples::kIssuedMs;
  out.release.data_roots = model::Manifest::parse(files.at("manifest.json"))->data_roots;
  if (head) out.base = place.registry->snapshot(ledger, head->release.version).value();
  return out;
}

inline PublishAttempt attempt_of(const Proposal& proposal, std::initializer_list<uint8_t> keys,
                                 bool pending = true) {
  const Bytes envelope = samples::signed_by(proposal.release, keys).encode();
  const delta::ReleaseContent to{envelope, proposal.content.tree.get(), proposal.content.loader()};
  PublishAttempt attempt;
  attempt.publish.request = 7;
  attempt.publish.ledger = proposal.release.ledger;
  attempt.publish.version = proposal.release.version;
  attempt.publish.expected_head_hash = proposal.release.previous_hash;
  attempt.publish.message = "two of us want this";
  attempt.publish.pending = pending;
  attempt.publisher = kCarol;
  attempt.now_ms = kNowMs;
  if (const registry::SnapshotPtr& base = proposal.base) {
    attempt.publish.base = {base->release.version, base->release.content_root};
    const delta::ReleaseContent from{base->envelope, base->content.tree.get(),
                                     base->content.loader()};
    attempt.artifact = delta::encode_artifact(&from, to).value();
  } else {
    attempt.artifact = delta::encode_artifact(nullptr, to).value();
  }
  return attempt;
}

inline PublishOutcome publish_proposal(Place& place, const Proposal& proposal,
                                       std::initializer_list<uint8_t> keys, bool pending = true) {
  return place.pipeline.handle(attempt_of(proposal, keys, pending));
}

inline PublishOutcome cosign(Place& place, const Proposal& proposal, uint8_t key,
                             TimeMs now_ms = kNowMs) {
  return place.pipeline.cosign({proposal.release.ledger, proposal.hash(), proposal.signature(key)},
                               now_ms);
}

}  // namespace notp::publish
