// Asio and Beast are header-only by default; compiling them here once keeps every other file cheap.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
