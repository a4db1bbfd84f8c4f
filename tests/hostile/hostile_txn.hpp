// A Txn-Token Service that must refuse what it is asked for.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp::hostile_txn {

using namespace txn_world;

struct World {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants};
  size_t refused = 0;

  // `secret`: what no refusal may hold.
  void must_refuse(const std::string& what, const Client& client, const std::string& body,
                   std::string_view reason, std::string_view secret = {},
                   std::string_view content_type = kFormType) {
    const auto given = service.issue(client, body, kStartMs, content_type);
    CAPTURE(what);
    CHECK_FALSE(given);
    if (given) return;
    ++refused;
    CHECK_MESSAGE(given.error().reason() == reason, given.error().description);
    CHECK(given.error().status() >= 400);
    CHECK(given.error().description.size() <= 400);
    if (secret.size() >= 16) CHECK_FALSE(given.error().description.contains(secret.substr(0, 16)));
  }
  void must_refuse(const std::string& what, const TokenRequest& form, std::string_view reason) {
    std::string secret;
    for (const auto& [name, value] : form)
      if (name == "subject_token") secret = value;
    must_refuse(what, client("a"), form_of(form), reason, secret);
  }
};

inline TokenRequest good() { return access_form(kStartMs, "order:pay order:read"); }

}  // namespace notp::hostile_txn
