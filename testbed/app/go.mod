module cafe.test/testbed/app

go 1.26.0
