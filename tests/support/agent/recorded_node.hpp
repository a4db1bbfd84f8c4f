// A node that decides with the embedded engine and records, and a registry that has its releases
// and its records, both in memory: for tests that replay.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "common/rego/host/worker_process.hpp"
#include "notp-client/decision/decision_service.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/recording_log.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/signed_log.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tools/notp/audit/replay.hpp"

namespace notp {

inline const model::LedgerId kShop{100'000'000'001, "shop"};

inline constexpr std::string_view kShopManifest = R"({
  "metadata": {"name": "shop"}, "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
  "partitions": {"/": {"runtime": "rego"}}, "roots": ["shop"]})";

// Asks the clock, chance, and a token; makes objects and sets.
inline const std::string kChancePolicy = R"(package shop

secret := "a secret that both sides know"

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(input.token, {"secret": secret, "alg": "HS256"})
	valid
}

signed := io.jwt.encode_sign({"alg": "HS256", "typ": "JWT"}, {"sub": input.user, "exp": 4000000000}, {"kty": "oct", "k": "YSBzZWNyZXQgdGhhdCBib3RoIHNpZGVzIGtub3c"})

allow if {
	input.amount <= data.shop.limits.max
	claims.sub == input.user
}

decision := {
	"allow": input.amount <= data.shop.limits.max,
	"id": uuid.rfc4122(input.user),
	"at": time.now_ns(),
	"dice": [rand.intn(name, 1000000) | some name in ["a", input.user]],
	"roles": {role | some role in data.shop.roles[input.user]},
	"rest": object.remove(input, ["token"]),
	"version": data.system.notp.ledgers.shop.version,
	"amount": input.amount,
}

conflict := 1 if input.amount > 2

conflict := 2 if input.amount > 2
)";

inline samples::Texts shop_files(const std::string& policy = kChancePolicy) {
  return {{"manifest.json", std::string(kShopManifest)},
          {"shop/policy.rego", policy},
          {"shop/policy_test.rego", "package shop_test\n\ntest_nothing if true\n"},
          {"shop/limits/data.json", R"({"max": 100})"},
          {"shop/roles/data.json", R"({"ada": ["till", "desk"], "bo": ["desk"]})"}};
}

// A release with these files, signed.
inline cli::PulledRelease signed_release(const model::LedgerId& ledger, uint64_t version,
                                         const samples::Texts& files,
                                         std::vector<std::string> roots) {
  cli::PulledRelease out;
  out.content = samples::model_of(files);
  trust::Release release = samples::release(version);
  release.ledger = ledger;
  release.data_roots = std::move(roots);
  release.content_root = out.content.tree->content_root();
  release.total_bytes = out.content.tree->total_bytes();
  release.file_count = out.content.tree->files().size();
  const trust::Envelope envelope = samples::signed_by(release, {2});
  out.verified.ref = trust::ref_of(release, trust::release_hash(envelope.payload));
  out.verified.envelope = envelope.encode();
  REQUIRE(out.verified.envelope.open());
  REQUIRE(out.verified.envelope.read());
  out.root_version = 1;
  return out;
}

// The releases of a registry.
class ReleaseShelf final : public cli::ReleaseArchive {
 public:
  const cli::PulledRelease& add(cli::PulledRelease release) {
    auto shared = std::make_shared<const cli::PulledRelease>(std::move(release));
    const auto& ref = shared->verified.ref;
    return *(releases[{ref.ledger, ref.version}] = shared);
  }
  Result<cli::PulledReleasePtr> pull(const model::LedgerId& ledger, uint64_t version) override {
    ++pulls;
    if (refusal) return std::unexpected(*refusal);
    const auto found = releases.find({ledger, version});
    if (found == releases.end()) return fail(ErrorCode::kNotFound, "it was removed");
    return found->second;
  }
  std::map<std::pair<model::LedgerId, uint64_t>, cli::PulledReleasePtr> releases;
  std::optional<Error> refusal;
  size_t pulls = 0;
};

// One request at a time.
class RecordedNode {
 public:
  explicit RecordedNode(const model::BuiltinGrants& builtins = {})
      : pdp_(agent_.get_executor(), engine_.get_executor(), pool_,
             {.engine = {.worker = test_worker(), .has_network = builtins.reach_network()},
              .builtins = builtins}),
        recorder_(log,
                  {.engine = "embedded",
                   .engine_version = [] { return std::string(rego::worker_opa_version()); }},
                  metrics_),
        decisions_(pdp_, metrics_, false, &recorder_) {
    pdp_.start(reports_.sink());
  }

  // Decides with these releases from then on. `terms`: what of the first ledger is masked.
  void activate(const std::vector<const cli::PulledRelease*>& releases,
                std::vector<model::MaskRule> masks = {}, trust::FreshnessStatus freshness = {}) {
    auto set = std::make_shared<pdp::ActiveSet>();
    set->as_of_ms = 1'800'000'000'000;
    model::BlobMap blobs;
    model::DecisionTerms terms;
    terms.mask = std::move(masks);
    for (const cli::PulledRelease* each : releases) {
      set->ledgers[each->verified.ref.ledger] = {
          .ref = each->verified.ref,
          .data_roots = each->release().data_roots,
          .tree = each->content.tree,
          .terms = std::make_shared<const model::DecisionTerms>(std::exchange(terms, {})),
          .freshness_status = std::exchange(freshness, {})};
      blobs.insert(each->content.blobs.begin(), each->content.blobs.end());
    }
    pdp_.activate(set, [blobs = std::move(blobs)](const Hash& hash) -> Result<model::Content> {
      const auto found = blobs.find(hash);
      if (found == blobs.end()) return fail(ErrorCode::kNotFound, hash.brief());
      return found->second;
    });
    const auto work = boost::asio::make_work_guard(agent_);
    agent_.restart();
    agent_.run_one();
    const auto report = reports_.next();
    REQUIRE(report);
    REQUIRE_MESSAGE(!report->rejected, report->rejected->message);
  }

  // Returns the record of the decision.
  const record::DecisionContent& ask(std::string_view path, std::optional<Bytes> input,
                                     uint32_t flags = 0) {
    pdp::Question question{.path = pdp::path_segments(path), .flags = flags};
    question.inputs.push_back(std::move(input));
    boost::asio::co_spawn(
        callers_,
        decisions_.decide({.api = decision::DecisionApi::kData, .question = std::move(question)}),
        boost::asio::use_future)
        .get();
    return log.seen().last();
  }

  RecordingLog log;

 private:
  boost::asio::io_context agent_{1};
  boost::asio::thread_pool engine_{1}, pool_{2}, callers_{1};
  ReportQueue reports_;
  pdp::EmbeddedPdp pdp_;
  prometheus::Registry metrics_;
  decision::DecisionRecorder recorder_;
  decision::DecisionService decisions_;
};

// The records of a node as a registry gives them: each set of releases is announced by a record.
class RecordedLog {
 public:
  explicit RecordedLog(RecordedNode& node) {
    std::vector<record::Record> records{
        cli::at(record::RunStart{"notp-client 1", 1, "b"}, cli::kStartNs)};
    spool::ActiveSetPtr active;
    record::Position at_active = 0;
    size_t decisions = 0;  // d-0, d-1, … are their ids
    for (const spool::Entry& entry : node.log.seen().entries) {
      if (entry.active && entry.active != active) {
        active = entry.active;
        at_active = records.size();
        records.push_back(cli::at(*active, entry.time_ns));
      }
      record::Content content = entry.content;
      std::get<record::DecisionContent>(content).decision_id = fmt::format("d-{}", decisions++);
      records.push_back(cli::at(std::move(content), entry.time_ns, 1, active ? at_active : 0));
    }
    constexpr size_t kInSegment = 500;
    for (size_t i = 0; i < records.size(); i += kInSegment)
      log_.seal(
          {records.begin() + static_cast<ptrdiff_t>(i),
           records.begin() + static_cast<ptrdiff_t>(std::min(i + kInSegment, records.size()))});
    registry.logs = {&log_};
    registry.page_rows = 1'000;
  }
  // The decisions as they are read from the registry's pages.
  std::vector<cli::AuditRecord> decisions() const {
    std::vector<cli::AuditRecord> out;
    std::map<record::Position, std::shared_ptr<const record::ActiveSet>> sets;
    for (const record::Record& each : log_.records()) {
      if (const auto* set = std::get_if<record::ActiveSet>(&each.content))
        sets[each.place.position] = std::make_shared<const record::ActiveSet>(*set);
      if (each.kind() == record::Kind::kDecision)
        out.push_back({log_.node(), log_.id(), each, {}, sets[each.place.active]});
    }
    return out;
  }

  cli::FakeRegistry registry;

 private:
  cli::SignedLog log_{77};
};

}  // namespace notp
