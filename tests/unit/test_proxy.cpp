// Which proxy is used for a host, by configuration and variables, and what is never printed of it.
#include <doctest/doctest.h>

#include "common/http/proxy.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::http {
namespace {

const HostPort kRegistry{"registry.shop.example", 7443};

ProxyRoute by_variables(Environment environment, const HostPort& target = kRegistry) {
  auto route = choose_proxy({}, environment, target);
  REQUIRE_MESSAGE(route, route.error().message);
  return *std::move(route);
}

TEST_CASE("NO_PROXY names hosts, what is below them, addresses, networks and ports") {
  struct Row {
    const char* list;
    HostPort target;
    bool is_exempt;
  };
  const HostPort v4{"10.1.2.3", 7443}, v6{"2001:db8::7", 7443};
  for (const Row& row : {
           Row{"", kRegistry, false},
           Row{"*", kRegistry, true},
           Row{"*", v6, true},
           Row{"shop.example", kRegistry, true},
           Row{"SHOP.Example.", kRegistry, true},
           Row{".shop.example", kRegistry, true},
           Row{"*.shop.example", kRegistry, true},
           Row{".registry.shop.example", kRegistry, false},
           Row{"registry.shop.example", kRegistry, true},
           Row{"op.example", kRegistry, false},
           Row{"example.com", kRegistry, false},
           Row{".", kRegistry, false},
           Row{"a, b ,shop.example", kRegistry, true},
           Row{"a b shop.example", kRegistry, true},
           Row{"shop.example:7443", kRegistry, true},
           Row{"shop.example:443", kRegistry, false},
           Row{"shop.example:seven", kRegistry, false},
           Row{"shop.example", {"Registry.Shop.Example.", 1}, true},
           Row{"10.1.2.3", v4, true},
           Row{"10.1.2.3:7443", v4, true},
           Row{"10.1.2.3:1", v4, false},
           Row{"10.1.2.30", v4, false},
           Row{"1.2.3", v4, false},
           Row{"10.0.0.0/8", v4, true},
           Row{"10.1.2.0/30", v4, true},
           Row{"10.1.2.4/30", v4, false},
           Row{"10.0.0.0/8", {"::ffff:10.1.2.3", 1}, true},
           Row{"10.0.0.0/99", v4, false},
           Row{"/", v4, false},
           Row{"2001:db8::7", v6, true},
           Row{"2001:DB8:0::7", v6, true},
           Row{"[2001:db8::7]", v6, true},
           Row{"[2001:db8::7]:7443", v6, true},
           Row{"[2001:db8::7]:1", v6, false},
           Row{"2001:db8::/32", v6, true},
           Row{"2001:db9::/32", v6, false},
           Row{"[", v6, false},
           Row{":", v6, false},
           Row{"10.0.0.0/8", kRegistry, false},
       }) {
    CAPTURE(row.list);
    CAPTURE(row.target.text());
    CHECK(is_exempt(row.list, row.target) == row.is_exempt);
  }
}

TEST_CASE("variables name a proxy, but never for this machine") {
  CHECK_FALSE(by_variables({}).proxy);
  CHECK(by_variables({}).text() == "directly");
  CHECK_FALSE(by_variables({{"HTTPS_PROXY", ""}}).proxy);
  CHECK_FALSE(by_variables({{"HTTP_PROXY", "http://proxy:3128"}}).proxy);

  const auto upper = by_variables({{"HTTPS_PROXY", "http://proxy.example:3128"}});
  REQUIRE(upper.proxy);
  CHECK(upper.proxy->at.text() == "proxy.example:3128");
  CHECK(upper.text() == "through the proxy http://proxy.example:3128 (HTTPS_PROXY)");
  const auto lower = by_variables({{"HTTPS_PROXY", "http://upper:1"}, {"https_proxy", "lower:2"}});
  CHECK(lower.proxy->at.text() == "lower:2");
  CHECK(lower.proxy->source == "https_proxy");
  CHECK(by_variables({{"https_proxy", "HTTP://proxy/"}}).proxy->at.text() == "proxy:80");
  CHECK(by_variables({{"https_proxy", "http://[2001:db8::1]"}}).proxy->at.text() ==
        "[2001:db8::1]:80");

  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost", "localhost.",
                           "::ffff:127.0.0.1"}) {
    const auto route = by_variables({{"HTTPS_PROXY", "http://proxy:1"}}, {host, 7443});
    CHECK_MESSAGE(!route.proxy, host);
    CHECK(route.text().contains("HTTPS_PROXY"));
  }
  const auto exempt =
      by_variables({{"HTTPS_PROXY", "http://proxy:1"}, {"NO_PROXY", ".shop.example"}});
  CHECK_FALSE(exempt.proxy);
  CHECK(exempt.text().contains("NO_PROXY"));
}

TEST_CASE("a configuration comes before variables, whatever the target") {
  const Environment environment{{"https_proxy", "http://other:1"}, {"no_proxy", "*"}};
  const auto route =
      choose_proxy({.url = "http://edge@proxy:3128"}, environment, {"127.0.0.1", 7443});
  REQUIRE(route);
  REQUIRE(route->proxy);
  CHECK(route->proxy->at.text() == "proxy:3128");
  CHECK(route->proxy->user == "edge");
  const auto direct = choose_proxy({.url = "none"}, environment, kRegistry);
  REQUIRE(direct);
  CHECK_FALSE(direct->proxy);
  CHECK(direct->text().contains("https_proxy is not used"));
}

TEST_CASE("credentials come from the variable or a file, and are never printed") {
  const auto route = by_variables({{"https_proxy", "http://al%3Cice:p%40ss%3Aword@proxy:3128"}});
  REQUIRE(route.proxy);
  CHECK(route.proxy->user == "al<ice");
  CHECK(route.proxy->authorization().value() == "Basic " + to_base64("al<ice:p@ss:word"));
  CHECK_FALSE(route.text().contains("alice"));
  CHECK_FALSE(route.text().contains("p@ss"));

  const TemporaryFolder folder;
  const auto file = folder.path() / "secret";
  auto with_file =
      choose_proxy({.url = "http://edge@proxy:3128", .password_file = file}, {}, kRegistry);
  REQUIRE(with_file);
  CHECK(with_file->proxy->authorization().error().message.contains(file.string()));
  REQUIRE(write_file(file, "s3cret\n"));
  CHECK(with_file->proxy->authorization().value() == "Basic " + to_base64("edge:s3cret"));
  REQUIRE(write_file(file, "two\nlines\n"));
  const auto bad = with_file->proxy->authorization();
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.contains(file.string()));
  CHECK_FALSE(bad.error().message.contains("two"));
}

TEST_CASE("what is no proxy is refused without repeating it, where it would be used") {
  for (const char* url :
       {"https://user:s3cret@proxy:443", "socks5://user:s3cret@proxy:1080", "http://user:s3cret@",
        "http://user:s3cret@proxy:99999", "http://user:s3cret@proxy:0",
        "http://user:s3cret@proxy:3128/path", "http://user:s3cret%zz@proxy", "http://:s3cret@proxy",
        "http://us%0Aer:s3cret@proxy:3128", "http://user:s3cret@pro xy:3128"}) {
    CAPTURE(url);
    const Environment environment{{"HTTPS_PROXY", url}};
    const auto route = choose_proxy({}, environment, kRegistry);
    REQUIRE_FALSE(route);
    CHECK(route.error().code == ErrorCode::kConfig);
    CHECK(route.error().message.contains("HTTPS_PROXY"));
    CHECK_FALSE(route.error().message.contains("s3cret"));
    CHECK(choose_proxy({}, environment, {"127.0.0.1", 1}));
  }
  const auto written = choose_proxy({.url = "http://edge:s3cret@proxy:1"}, {}, kRegistry);
  REQUIRE_FALSE(written);
  CHECK(written.error().message.contains("proxy_password_file"));
  CHECK_FALSE(written.error().message.contains("s3cret"));
  CHECK_FALSE(choose_proxy({.url = "http://proxy:1", .password_file = "x"}, {}, kRegistry));
}

}  // namespace
}  // namespace notp::http
