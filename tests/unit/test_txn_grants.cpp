// The store of grants: what is revoked, listed and swept, its limits, and its file.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "common/storage/files.hpp"
#include "tests/support/kept_stores.hpp"
#include "tests/support/txn/grants_world.hpp"

namespace notp {
namespace {

using namespace txn_world;
using World = GrantsWorld;

std::vector<std::string> txns_of(std::initializer_list<const Given*> tokens) {
  std::vector<std::string> out;
  for (const Given* token : tokens) out.emplace_back(token->claims.at("txn").as_string());
  std::ranges::sort(out);
  return out;
}

TEST_CASE("what is revoked is gone, with all that came of it, and names the tokens that live") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}, {"uses", 2}});
  const Given second = world.must("b",
                                  redeem_form("b", "1", first.grant, kStartMs, "order:pay",
                                              delegate_to(workload("*"), kStartS + 3'600)),
                                  kStartMs);
  const TimeMs later_ms = kStartMs + 100'000;
  const Given third = world.must("c", redeem_form("c", "1", second.grant, later_ms), later_ms);
  const Given other = world.delegate();
  const GrantRevocation by_txn{
      .grant = {}, .txn = std::string(first.claims.at("txn").as_string()), .from = {}};
  REQUIRE(world.grants->size() == 3);
  const TimeMs now_ms = kStartMs + 630'000;  // the second token cannot live any more, the third can
  // Again, as after a failure behind it: nothing ends, and the tokens are the same.
  const auto again = [&](const GrantRevocation& what) {
    for (const bool restarts : {false, true}) {
      if (restarts) world.restart();
      const auto repeated = world.grants->revoke(what, now_ms);
      REQUIRE_MESSAGE(repeated, repeated.error().message);
      CHECK(repeated->grants == 0);
      CHECK(repeated->txns == txns_of({&third}));
    }
  };
  SUBCASE("by the first token") {
    const auto revoked = world.grants->revoke(by_txn, now_ms);
    CHECK(revoked->grants == 2);
    CHECK(revoked->txns == txns_of({&third}));
    CHECK(revoked->next.empty());
    CHECK(world.grants->size() == 1);
    again(by_txn);
  }
  SUBCASE("by the number of the first grant") {
    const GrantRevocation what{.grant = first.grant, .txn = {}, .from = {}};
    CHECK(world.grants->revoke(what, later_ms).value().txns == txns_of({&second, &third}));
    CHECK(world.grants->size() == 1);
    again(what);
    const auto sweep = [&](TimeMs time_ms) {
      while (world.grants->sweep(time_ms).value()) {
      }
      return world.grants->revoke(what, now_ms);
    };
    CHECK(sweep(later_ms + limits::kTxnGrantRevokedMs - 1));
    CHECK(sweep(later_ms + limits::kTxnGrantRevokedMs).error().code == ErrorCode::kNotFound);
    CHECK(world.grants->size() == 1);
  }
  SUBCASE("by the number of the second: the first can still be used") {
    CHECK(world.grants->revoke({.grant = second.grant, .txn = {}, .from = {}}, now_ms)->grants ==
          1);
    world.must("b", redeem_form("b", "2", first.grant, now_ms), now_ms);
    CHECK(world.grants->revoke({.grant = {}, .txn = "unknown", .from = {}}, now_ms)->grants == 0);
    // What the second one had ended does not end twice, and what came of it is named.
    const auto rest = world.grants->revoke(by_txn, now_ms);
    CHECK(rest->grants == 1);
    CHECK(rest->txns.size() == 2);
    return;
  }
  CHECK(world.grants->list({.client = {}, .txn = by_txn.txn}, "").value().grants.empty());
  world.restart();
  CHECK(world.grants->size() == 1);
  CHECK(world.refused("c", redeem_form("c", "9", second.grant, now_ms), now_ms) == "grant_unknown");
  CHECK(world.refused("b", redeem_form("b", "9", first.grant, now_ms), now_ms) == "grant_unknown");
  world.must("b", redeem_form("b", "8", other.grant, now_ms), now_ms);
}

TEST_CASE("the tokens of what is revoked come in pages, each once") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}, {"uses", 16}});
  const Grant root = world.grants->find(first.grant, "", "").value()->grant;
  // Each use passes on a grant, three deep.
  std::set<std::string> made;
  std::vector<Grant> level = {root};
  for (const int uses : {16, 16, 5}) {
    std::vector<Grant> below;
    for (const Grant& grant : level)
      for (int i = 0; i < uses; ++i) {
        GrantUse use{grant.id, workload("b"), fmt::format("{}", i), {}, {}, {}, {}};
        use.txn = fmt::format("u-{}", made.size());
        use.claims = {{"txn", use.txn}, {"exp", kStartS + 60}};
        Grant child = grant;
        child.used = 0;
        child.id = fmt::format("{:022}", made.size());
        child.txns.push_back(use.txn);
        child.chain.push_back(workload("b"));
        use.passed_on = child;
        const GrantChange change = use;
        REQUIRE(world.grants->apply({&change, 1}, kStartMs).value().front());
        made.insert(use.txn);
        below.push_back(std::move(child));
      }
    level = std::move(below);
  }
  REQUIRE(made.size() > 2 * limits::kTxnGrantsListedMax);
  GrantRevocation what{.grant = {}, .txn = root.root_txn(), .from = {}};
  std::vector<std::string> listed;
  size_t pages = 0, grants = 0;
  do {
    const RevokedGrants page = world.grants->revoke(what, kStartMs).value();
    CHECK(page.txns.size() <= limits::kTxnGrantsListedMax);
    listed.insert(listed.end(), page.txns.begin(), page.txns.end());
    grants += page.grants;
    what.from = page.next;
    ++pages;
  } while (!what.from.empty());
  CHECK(pages == made.size() / limits::kTxnGrantsListedMax + 1);
  CHECK(grants == 1 + made.size());
  CHECK(listed == std::vector<std::string>(made.begin(), made.end()));
}

TEST_CASE("of two uses at once one counts; the other gets its answer, or none") {
  World world;
  const Given first = world.delegate();
  const Grant grant = world.grants->find(first.grant, "", "").value()->grant;
  const auto use = [&](const char* jti, const char* txn) {
    return GrantUse{grant.id,    workload("b"), jti,
                    sha256("r"), txn,           {{"txn", txn}, {"exp", kStartS + 60}},
                    std::nullopt};
  };
  const std::vector<GrantChange> changes = {use("1", "t2"), use("1", "t3"), use("2", "t4")};
  const auto outcomes = world.grants->apply(changes, kStartMs).value();
  CHECK(outcomes[0]->token.claims.at("txn") == "t2");
  CHECK_FALSE(outcomes[0]->is_repeat);
  CHECK(outcomes[1]->token.claims.at("txn") == "t2");
  CHECK(outcomes[1]->is_repeat);
  CHECK(outcomes[2].error().refusal == Refusal::kGrantUsed);
}

TEST_CASE("a store takes nothing that is wider than the grant that was used") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}, {"uses", 2}});
  const Grant parent = world.grants->find(first.grant, "", "").value()->grant;
  Grant child = parent;
  child.id = "AAAAAAAAAAAAAAAAAAAAAA";
  child.txns.emplace_back("t2");
  child.chain.push_back(workload("b"));
  const auto pass_on = [&](Grant passed_on, const char* jti) {
    const GrantChange change = GrantUse{
        parent.id, workload("b"), jti, {}, "t2", {{"exp", kStartS + 60}}, std::move(passed_on)};
    return world.grants->apply({&change, 1}, kStartMs).value().front().has_value();
  };
  Grant wide = child;
  wide.scopes.emplace_back("order:read");
  CHECK_FALSE(pass_on(wide, "1"));
  wide = child;
  wide.not_after_ms += 1;
  CHECK_FALSE(pass_on(wide, "2"));
  wide = child;
  wide.sub = "bob";
  CHECK_FALSE(pass_on(wide, "3"));
  wide = child;
  wide.uses += 1;
  CHECK_FALSE(pass_on(wide, "4"));
  wide = child;
  wide.chain = {workload("x"), workload("b")};
  CHECK_FALSE(pass_on(wide, "5"));
  wide = child;
  wide.chain = parent.chain;
  CHECK_FALSE(pass_on(wide, "6"));
  wide = child;
  wide.txns = {"x", "t2"};
  CHECK_FALSE(pass_on(wide, "7"));
  wide = child;
  wide.origin = workload("x");
  CHECK_FALSE(pass_on(wide, "8"));
  CHECK(world.grants->size() == 1);
  CHECK(pass_on(child, "9"));
}

TEST_CASE("a store of grants has limits, lists pages, and sweeps what has ended") {
  TemporaryFolder folder;
  const auto grants = SqliteGrants::open({.folder = folder.path(), .grants_max = 3'000}).value();
  Grant grant;
  grant.txns = {"t1"};
  grant.sub = "ada";
  grant.scopes = {"order:pay"};
  grant.to = workload("b");
  grant.origin = workload("a");
  grant.chain = {workload("a")};
  grant.not_after_ms = kStartMs + 1'000;
  std::vector<GrantChange> changes;
  for (size_t i = 0; i <= 3'000; ++i) {
    grant.id = fmt::format("{:022}", i);
    if (i == 1'500) grant.to = workload("c/*");
    changes.emplace_back(grant);
  }
  const auto outcomes = grants->apply(changes, kStartMs).value();
  CHECK(outcomes[2'999]);
  CHECK(outcomes[3'000].error().refusal == Refusal::kGrantsFull);
  CHECK(outcomes[3'000].error().status() == 503);
  CHECK(grants->size() == 3'000);
  using Sizes = std::vector<size_t>;
  const auto pages = [&grants](const GrantFilter& filter) {
    Sizes sizes;
    std::vector<std::string> ids;
    std::string from;
    do {
      const GrantPage page = grants->list(filter, from).value();
      sizes.push_back(page.grants.size());
      for (const Grant& each : page.grants) ids.push_back(each.id);
      from = page.next;
    } while (!from.empty());
    CHECK(std::ranges::is_sorted(ids));
    CHECK(std::ranges::adjacent_find(ids) == ids.end());
    return sizes;
  };
  CHECK(pages({.client = workload("b"), .txn = {}}) == Sizes{500, 500, 500});
  CHECK(pages({.client = {}, .txn = {}}) == Sizes{500, 500, 500, 500, 500, 500});
  CHECK(pages({.client = {}, .txn = "t2"}) == Sizes{0});
  CHECK(grants->list({.client = workload("a"), .txn = "t1"}, fmt::format("{:022}", 2'990))
            .value()
            .grants.size() == 10);
  CHECK(pages({.client = workload("c/d"), .txn = {}}) == Sizes{500, 500, 500});
  // An answer could be asked for again so long.
  CHECK_FALSE(grants->sweep(kStartMs + 30'999).value());
  CHECK(grants->size() == 3'000);
  int steps = 1;
  while (grants->sweep(kStartMs + 31'000).value()) ++steps;
  CHECK(steps == 4);
  CHECK(grants->size() == 0);
  CHECK(grants->apply({changes.data(), 1}, kStartMs).value()[0]);
}

TEST_CASE("one workload cannot fill the store") {
  TemporaryFolder folder;
  const auto grants = SqliteGrants::open({.folder = folder.path()}).value();
  Grant grant;
  grant.txns = {"t"};
  grant.scopes = {"s"};
  grant.origin = workload("a");
  grant.chain = {workload("a")};
  grant.not_after_ms = kStartMs + 1'000;
  std::vector<GrantChange> changes;
  for (size_t i = 0; i <= limits::kTxnGrantsPerClientMax; ++i) {
    grant.id = fmt::format("{:022}", i);
    changes.emplace_back(grant);
  }
  grant.id = "other";
  grant.chain = {workload("b")};
  changes.emplace_back(grant);
  const auto outcomes = grants->apply(changes, kStartMs).value();
  CHECK(outcomes[limits::kTxnGrantsPerClientMax - 1]);
  CHECK(outcomes[limits::kTxnGrantsPerClientMax].error().refusal == Refusal::kGrantsPerClient);
  CHECK(outcomes[limits::kTxnGrantsPerClientMax].error().status() == 429);
  CHECK(outcomes.back());
}

TEST_CASE("grants of the format before are read, with the transactions of their chains") {
  TemporaryFolder folder, fresh;
  const std::filesystem::path file = folder.path() / kGrantsFile;
  kept::restore(file, "txn_grants_db_1");
  {
    const auto grants = SqliteGrants::open({.folder = folder.path()}).value();
    CHECK(grants->size() == 4);
    std::vector<std::string> txns;
    const char* const numbers[] = {"1xwCy9oR9v5haessTjDm-A", "r8c1-C_Nnf8w6bpfRx14rA",
                                   "yNIBK3B1B1vhyUDsgvYPfg", "VuiKIlLmKxMOp6pC5tqKuA"};
    for (const char* number : numbers) {
      txns.push_back(fmt::format("txn-{}", txns.size() + 1));
      const auto found = grants->find(number, "", "").value();
      REQUIRE(found);
      CHECK(found->grant.txns == txns);
      CHECK(found->grant.depth() == txns.size());
      CHECK(found->grant.used == 1);
    }
    CHECK(grants->list({.client = {}, .txn = "txn-2"}, "").value().grants.size() == 3);
    const auto revoked = grants->revoke({.grant = numbers[1], .txn = {}, .from = {}}, kStartMs);
    CHECK(revoked->grants == 3);
    CHECK(revoked->txns == std::vector<std::string>{"txn-3", "txn-4", "txn-5"});
  }
  SqliteGrants::open({.folder = fresh.path()}).value().reset();
  CHECK(kept::schema_of(file) == kept::schema_of(fresh.path() / kGrantsFile));
  CHECK(kept::format_of(file) == 2);
  kept::set_format(file, 3);
  CHECK(SqliteGrants::open({.folder = folder.path()}).error().code == ErrorCode::kConfig);
}

TEST_CASE("no token is in the file of grants, and a damaged one is not replaced by an empty one") {
  World world;
  const Given first = world.delegate();
  const TokenRequest form = redeem_form("b", "1", first.grant, kStartMs);
  const Given second = world.must("b", form, kStartMs);
  world.grants.reset();
  const std::filesystem::path file = world.folder.path() / kGrantsFile;
  Bytes bytes;
  for (const auto& entry : std::filesystem::directory_iterator(world.folder.path()))
    bytes += read_file(entry.path(), 1 << 24).value();
  for (const std::string& token : {first.token, second.token, form[4].second})
    CHECK_FALSE(bytes.contains(token.substr(0, 40)));
  CHECK(bytes.contains("order:pay"));  // the control: the file has what it keeps, readably
  const auto mode = std::filesystem::status(file).permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  REQUIRE(write_file(file, Bytes(100'000, 'x'), 0600));
  const auto opened = SqliteGrants::open({.folder = world.folder.path()});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kCorrupt);
  CHECK(read_file(file, 1 << 24).value() == Bytes(100'000, 'x'));
}

}  // namespace
}  // namespace notp
