// What the specification may not leave out: protocol/README.md links to every page, and its tables
// have every limit.
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "tests/support/wire/specification_document.hpp"

using namespace notp::samples::specification;

TEST_CASE("the first page links to all other pages of the specification") {
  const std::string index = source_text("protocol/README.md");
  for (const std::string_view page : kSpecificationPages) {
    if (page == "protocol/README.md") continue;
    CAPTURE(page);
    const std::string from_protocol =
        page.starts_with("protocol/") ? std::string(page.substr(std::string("protocol/").size()))
                                      : "../" + std::string(page);
    CHECK(index.contains("](" + from_protocol + ")"));
  }
}

TEST_CASE("no limit of the protocol's sections is left out of the specification") {
  const std::string header = source_text("common/limits.hpp");
  const std::string protocol = header.substr(0, header.find("// --- registry"));
  std::map<std::string, int> written;
  for (const auto& row : table_under("## Limits")) ++written[row.at(0)];
  size_t names = 0;
  for (size_t at = 0; (at = protocol.find(" k", at)) != protocol.npos; ++at) {
    const size_t end = protocol.find_first_not_of(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", at + 1);
    if (protocol.substr(end, 3) != " = ") continue;
    const std::string name = protocol.substr(at + 1, end - at - 1);
    CHECK_MESSAGE(written.contains(name), name);
    ++names;
  }
  CHECK(names > 40);
}
