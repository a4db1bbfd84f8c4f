// Releases of a real store on their way back to a registry that has lost them.
#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <future>

#include "notp-client/agent/host/release_returner.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/support/agent/stored_models.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::agent {
namespace {

namespace asio = boost::asio;

constexpr size_t kFiles = 40;

stored::Model model_of(uint64_t version) {
  stored::Model model = stored::kModel;
  for (size_t i = 0; i < kFiles; ++i)
    model[fmt::format("data/d{:02}.json", i)] = stored::document(150'000, i);
  model["a.rego"] = fmt::format("package a\n# {}", version);
  return model;
}

// Two releases in a store.
struct Node {
  TemporaryFolder folder;
  std::unique_ptr<store::SqliteStore> store = stored::open(folder.path());
  asio::io_context context{1};
  transport::OffloadPool store_worker{1};
  std::map<uint64_t, store::InstallRecord> installed;
  ReleaseReturner returner{context.get_executor(), *store, store_worker,
                           [this](const Hash& hash) { return load(hash); }};
  std::vector<Result<ReturnedArtifact>> outcomes;

  Node() {
    for (uint64_t version : {1, 2}) {
      auto record = stored::install_of(model_of(version), version);
      record.envelope = samples::signed_by(record.release, {2}).encode();
      REQUIRE(store->install(record));
      installed.emplace(version, std::move(record));
    }
  }

  Result<model::Content> load(const Hash& hash) {
    auto loaded = std::make_shared<std::promise<Result<model::Content>>>();
    auto future = loaded->get_future();
    asio::post(store_worker.executor(),
               [this, hash, loaded] { loaded->set_value(store->blob(hash)); });
    return future.get();
  }
  ReturnedRelease release(uint64_t version) const {
    return {installed.at(version).ref, installed.at(version).envelope};
  }
  void give_back(ReturnJob job) {
    returner.give_back(std::move(job), [this](const ReturnJob&, Result<ReturnedArtifact> artifact) {
      outcomes.push_back(std::move(artifact));
    });
  }
  Result<ReturnedArtifact> outcome() {
    const auto work = asio::make_work_guard(context);
    context.restart();
    while (outcomes.empty()) context.run_one();
    auto out = std::move(outcomes.front());
    outcomes.clear();
    return out;
  }
};

}  // namespace

TEST_CASE("a stored release is given back as it was, in full or from its base") {
  Node node;
  const trust::Release& statement = node.installed.at(2).release;
  const delta::ApplyLimits limits{node.installed.at(2).tree->total_bytes(),
                                  node.installed.at(2).tree->files().size()};
  const delta::ReleaseContent base{node.installed.at(1).envelope, node.installed.at(1).tree.get(),
                                   [&](const Hash& hash) { return node.store->blob(hash); }};
  size_t full_bytes = 0;
  for (const bool from_base : {false, true}) {
    node.give_back({.session = 1,
                    .release = node.release(2),
                    .base = from_base ? std::optional(node.release(1)) : std::nullopt});
    const auto artifact = node.outcome();
    REQUIRE_MESSAGE(artifact, artifact.error().message);
    CHECK(artifact->base.has_value() == from_base);
    const auto applied =
        delta::apply_artifact(*artifact->bytes, from_base ? &base : nullptr, limits);
    REQUIRE(applied);
    CHECK(applied->tree->content_root() == statement.content_root);
    CHECK(applied->new_blobs.size() == (from_base ? 1 : kFiles + stored::kModel.size()));
    if (from_base)
      CHECK(artifact->bytes->size() < full_bytes / 100);
    else
      full_bytes = artifact->bytes->size();
  }
}

TEST_CASE("the store does other work in between") {
  Node node;
  std::atomic<bool> is_over = false;
  std::atomic<size_t> steps = 0;
  const std::function<void()> other_work = [&] {
    ++steps;
    if (!is_over) asio::post(node.store_worker.executor(), other_work);
  };
  asio::post(node.store_worker.executor(), other_work);
  node.give_back({.session = 1, .release = node.release(2), .base = {}});
  CHECK(node.outcome());
  is_over = true;
  node.store_worker.join();
  CHECK(steps > kFiles);
}

TEST_CASE("what nobody waits for any longer is not made") {
  Node node;
  node.give_back({.session = 1, .release = node.release(2), .base = {}});
  node.returner.cancel();
  CHECK(node.outcome().error().code == ErrorCode::kCancelled);
  node.give_back({.session = 2, .release = node.release(2), .base = {}});
  CHECK(node.outcome());

  node.give_back({.session = 3, .release = node.release(1), .base = {}});
  node.returner.stop();
  node.context.restart();
  node.context.run();
  CHECK(node.outcomes.empty());
  node.give_back({.session = 4, .release = node.release(1), .base = {}});
  node.context.restart();
  CHECK(node.context.run() == 0);
}

TEST_CASE("a returner that goes while it works leaves nothing behind") {
  for (int i = 0; i < 10; ++i) {
    Node node;
    {
      ReleaseReturner returner(node.context.get_executor(), *node.store, node.store_worker,
                               [&](const Hash& hash) { return node.load(hash); });
      returner.give_back(
          {.session = 1, .release = node.release(2), .base = {}},
          [](const ReturnJob&, Result<ReturnedArtifact>) { FAIL("it was stopped"); });
      for (int step = 0; step < i; ++step) node.context.poll_one();
    }
    node.context.restart();
    node.context.run();
  }
}

TEST_CASE("what the store cannot read is not given back") {
  Node node;
  REQUIRE(node.store->drop(stored::kPayments));
  node.give_back({.session = 1, .release = node.release(2), .base = node.release(1)});
  CHECK(node.outcome().error().code == ErrorCode::kNotFound);
}

}  // namespace notp::agent
