// A witness of registries' trees: what it cosigns, and what never.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/notp/witness/witness.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kOrigin = "core.internal/decisions/registry/main/0a";
constexpr int64_t kNow = 1'790'000'000;

struct Tree {
  explicit Tree(std::string_view salt = "leaf") {
    for (size_t i = 0; i < 40; ++i) leaves.push_back(sha256(std::string(salt) + std::to_string(i)));
  }
  Hash root(size_t size) const {
    record::Frontier tree;
    for (size_t i = 0; i < size; ++i) tree.append(leaves[i]);
    return tree.root();
  }
  std::string note(size_t size) const {
    return record::sign_checkpoint({std::string(kOrigin), size, root(size)}, key);
  }
  std::string request(size_t old_size, size_t size) const {
    const auto source = [&](uint64_t first, uint64_t count) -> Result<Hash> {
      record::Frontier tree;
      for (uint64_t i = 0; i < count; ++i) tree.append(leaves[first + i]);
      return tree.root();
    };
    const auto proof = old_size <= size ? record::consistency_proof(old_size, size, source)
                                        : Result<std::vector<Hash>>();
    return record::add_checkpoint_body({old_size, *proof, note(size)});
  }
  std::vector<Hash> leaves;
  PrivateKey key = PrivateKey::from_seed({1});
};

struct Host {
  Host() { open(); }
  void open() {
    auto opened = Witness::open(folder.path(), "witness.example/w1", PrivateKey::from_seed({2}),
                                {{std::string(kOrigin), PrivateKey::from_seed({1}).public_key()}},
                                [this](const std::string& what) { reports.push_back(what); });
    REQUIRE_MESSAGE(opened, opened.error().message);
    witness = *std::move(opened);
  }
  unsigned status(const std::string& body) { return witness->add_checkpoint(body, kNow).status; }
  TemporaryFolder folder;
  std::unique_ptr<Witness> witness;
  std::vector<std::string> reports;
};

}  // namespace

TEST_CASE("a witness cosigns a tree that grows, and remembers it over a restart") {
  Host host;
  const Tree tree;
  size_t at = 0;
  for (const size_t size : {1, 5, 5, 6, 17, 40}) {
    const WitnessAnswer answer = host.witness->add_checkpoint(tree.request(at, size), kNow);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    CHECK(record::cosigned_at(tree.note(size) + answer.body, "witness.example/w1",
                              PrivateKey::from_seed({2}).public_key()) == kNow);
    at = size;
    host.open();
  }
}

TEST_CASE("an old size that is not the witness's is told the right one") {
  Host host;
  const Tree tree;
  REQUIRE(host.status(tree.request(0, 10)) == 200);
  const WitnessAnswer answer = host.witness->add_checkpoint(tree.request(0, 12), kNow);
  CHECK(answer.status == 409);
  CHECK(answer.content_type == "text/x.tlog.size");
  CHECK(answer.body == "10\n");
  CHECK(host.status(tree.request(10, 12)) == 200);
}

TEST_CASE("a tree that shrank, was rewritten or split is never cosigned") {
  Host host;
  const Tree tree, other("another leaf");
  REQUIRE(host.status(tree.request(0, 10)) == 200);
  CHECK(host.status("old 10\n\n" + tree.note(8)) == 400);  // shrank
  CHECK(host.status(tree.request(8, 8)) == 409);
  CHECK(host.status("old 10\n\n" + other.note(10)) == 409);  // split at the same size
  CHECK(host.status(other.request(10, 20)) == 422);          // rewritten
  CHECK(host.status("old 10\n\n" + tree.note(20)) == 422);   // without a proof
  REQUIRE(host.reports.size() == 3);
  CHECK(host.reports[0].starts_with("SPLIT: core.internal/decisions/registry/main/0a"));
  CHECK(host.reports[1].starts_with("NOT CONSISTENT: "));
  host.open();
  CHECK(host.status("old 10\n\n" + other.note(10)) == 409);
  CHECK(host.status(tree.request(10, 20)) == 200);
}

TEST_CASE("what is not signed by the tree's key, of an unknown tree, or no request at all") {
  Host host;
  Tree tree;
  tree.key = PrivateKey::from_seed({9});
  CHECK(host.status(tree.request(0, 3)) == 403);
  const std::string unknown =
      "old 0\n\n" + record::sign_checkpoint({"other.example/log", 3, tree.root(3)}, tree.key);
  CHECK(host.status(unknown) == 404);
  for (const std::string& body :
       {std::string(), std::string("old\n\n"), std::string("old 01\n\n") + Tree().note(1),
        std::string("old 0\nnot a hash\n\n") + Tree().note(1), std::string("old 0\n\nnote"),
        std::string("old 0\n"), std::string(record::kAddCheckpointBytesMax + 1, 'x'),
        record::add_checkpoint_body(
            {0, std::vector<Hash>(limits::kProofHashesMax + 1), Tree().note(1)})})
    CHECK(host.status(body) == 400);
}

TEST_CASE("a kept checkpoint that is damaged stops the witness") {
  Host host;
  REQUIRE(host.status(Tree().request(0, 10)) == 200);
  host.witness.reset();
  for (const auto& entry : std::filesystem::directory_iterator(host.folder.path()))
    REQUIRE(write_file(entry.path(), "core.internal"));
  const auto opened = Witness::open(
      host.folder.path(), "witness.example/w1", PrivateKey::from_seed({2}),
      {{std::string(kOrigin), PrivateKey::from_seed({1}).public_key()}}, [](const std::string&) {});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kCorrupt);
}

}  // namespace notp::cli
