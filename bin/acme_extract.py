#!/usr/bin/python3 -I
import sys

from dmsinit.render.tls.acme_extract import main

sys.exit(main())
