// A world of one service with its store of grants.
#pragma once

#include <doctest/doctest.h>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp::txn_world {

inline constexpr TimeMs kHourMs = 3'600'000;

struct GrantsWorld {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants};

  // A new process with the same file.
  void restart() {
    grants.reset();
    grants = SqliteGrants::open({.folder = folder.path()}).value();
    service.restart(*grants);
  }
  Given must(const std::string& name, const TokenRequest& form, TimeMs now_ms) {
    auto given = service.issue(name, form, now_ms);
    REQUIRE_MESSAGE(given, given.error().reason() << ": " << given.error().description);
    return *std::move(given);
  }
  std::string refused(const std::string& name, const TokenRequest& form, TimeMs now_ms) {
    const auto given = service.issue(name, form, now_ms);
    REQUIRE_FALSE(given);
    return std::string(given.error().reason());
  }
  // T1 of workload a, with a grant for b.
  Given delegate(const json::object& change = {}, const std::string& scope = "order:pay order:read",
                 TimeMs now_ms = kStartMs) {
    const json::object details = delegate_to(workload("b"), now_ms / 1'000 + 3'600, change);
    return must("a", with(access_form(now_ms, scope), "request_details", json::serialize(details)),
                now_ms);
  }
};

}  // namespace notp::txn_world
