"""`supervisorctl`: what scripts written for supervisord say and read."""
