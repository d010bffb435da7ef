//! The bridge between HTTP and a WSGI application (PEP 3333).
