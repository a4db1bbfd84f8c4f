// protocol/README.md links to every page of the specification.
#include <doctest/doctest.h>

#include "tests/support/specification_document.hpp"

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
